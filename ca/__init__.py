"""Certificates: who a node is, what its certificate may contain, and how it is issued.

A leaf package: bytes and values in, bytes and values out. It reads no clock, draws no randomness and touches no
file; callers pass both in.
"""
