"""Everything that knows Docker's own formats."""
