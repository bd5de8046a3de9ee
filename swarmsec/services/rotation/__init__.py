"""Rotating the root: the machine's steps, what nodes do in it, and how a root is given up."""
