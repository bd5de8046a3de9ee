"""Benchmarks: each figure is ours beside a named peer in the same run, as a ratio of medians.

``make bench`` runs them all; ``python -m benchmarks NAME`` one of them. Rounds of the two sides alternate, so that a
machine that slows down meanwhile slows both. docs/benchmarks.md says what was measured when, and where.
"""
