"""Secrets: kept in versions, attached to services, delivered to tasks, rotated."""
