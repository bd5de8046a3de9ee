"""The log: read, signed, proven, witnessed, pruned."""
