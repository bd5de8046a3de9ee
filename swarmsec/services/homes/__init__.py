"""A home as a whole: the keys that seal it, its backups, and what is seen of it from outside."""
