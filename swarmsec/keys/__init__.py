"""Custody of keys: seals around a root key, terms below it, records below those, and signers that never show a key."""
