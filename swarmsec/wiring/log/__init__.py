"""The log between a home and others: exported, verified, witnessed."""
