"""A home from its making to its restoring: opening it, its keys, its backups."""
