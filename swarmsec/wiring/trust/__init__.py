"""Image trust on a machine: the pin, metadata, registries, signers, and a server that publishes."""
