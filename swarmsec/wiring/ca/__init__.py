"""The authority kept open, its root's key wherever that lies, and a rotation from a command."""
