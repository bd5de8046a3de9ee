"""Image trust: the repository, who signs for it, and what it says of an image."""
