"""Keyed hashes: how an entry names a value that it must not hold.

``hmac:TERM:HEX``, HMAC-SHA-256 (RFC 2104) under the key of a *term*. Who has the value and the key can tell that an
entry speaks of it; who has the log alone cannot even try values. A term whose key is erased tells nobody anything any
more, while tree and proofs stay as they are.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

KEY_BYTES: Final = 32
_CONTEXT: Final = b"swarmsec/audit-hash/v1\x00"
_PREFIX: Final = "hmac:"


def keyed_hash(key: bytes, term: int, value: bytes) -> str:
    """The hash of a value under the key of a term, ``KEY_BYTES`` long."""
    return f"{_PREFIX}{term}:{hmac.digest(key, _CONTEXT + value, hashlib.sha256).hex()}"


def keyed_hashes_of(entry: dict[str, object]) -> set[str]:
    """The keyed hashes that an entry holds, in the places where one may stand."""
    source, fields, target = (_members(entry.get(name)) for name in ("source", "fields", "object"))
    places = (source.get("ip"), fields.get("value"), fields.get("subject"), target.get("id"))
    return {text for text in places if isinstance(text, str) and text.startswith(_PREFIX)}


def _members(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}
