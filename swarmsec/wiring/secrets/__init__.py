"""Secrets between a home and an engine: attaching, delivering, rotating."""
