"""This process on this machine: its limits, its supervisor, its core dumps, its addresses."""
