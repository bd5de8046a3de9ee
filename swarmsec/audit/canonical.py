"""Canonical JSON (RFC 8785) for the values that entries carry.

Only objects with ASCII member names, arrays, strings, booleans and integers within ±(2**53 - 1) are accepted: for
these, sorting member names by code point and by UTF-16 unit is the same, and no number formatting is involved.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

MAX_INTEGER = 2**53 - 1
MAX_TEXT = 1024
"""Longest text, in characters, that an entry carries; ``bounded_text`` cuts longer ones and says so."""

_EXPECTED = "expected an object, array, string, boolean or integer"
_encoder = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False, check_circular=False
)


def encode_canonical(value: Mapping[str, object]) -> bytes:
    """Encode an object.

    Args:
        value: members of the kinds named above.

    Returns:
        UTF-8 bytes, one form for one value.

    Raises:
        ValueError: the value holds something with no canonical form here.
    """
    try:
        _check(value)
        return _encoder.encode(value).encode()
    except RecursionError:
        raise ValueError("expected members that are not nested this deeply") from None
    except UnicodeEncodeError:
        raise ValueError("expected Unicode scalar values, got a lone surrogate") from None


def _check(value: object) -> None:
    match value:
        case str() | bool():
            pass
        case int():
            check_integer(value)
        case Mapping():
            for name, member in value.items():
                if not (isinstance(name, str) and name.isascii()):
                    raise ValueError(f"expected ASCII member names, got {name!r:.60}")
                _check(member)
        case Sequence() if not isinstance(value, bytes | bytearray):
            for member in value:
                _check(member)
        case _:
            raise ValueError(f"{_EXPECTED}, got {type(value).__name__}")


def check_integer(value: int) -> int:
    """Return an integer that every JSON reader keeps exactly (RFC 7493 section 2.2), or raise ValueError."""
    if not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise ValueError(f"expected an integer within 53 bits, got {value!s:.40}")
    return value


def bounded_text(text: str) -> str:
    """Make any text fit for an entry: lone surrogates replaced, cut at ``MAX_TEXT`` characters with a mark."""
    clean = text if text.isascii() else text.encode("utf-8", "replace").decode()
    if len(clean) <= MAX_TEXT:
        return clean
    return f"{clean[:MAX_TEXT]}…(+{len(clean) - MAX_TEXT})"


def parse_canonical(data: bytes) -> dict[str, object]:
    """Parse bytes that must be exactly what ``encode_canonical`` makes of their value.

    Raises:
        ValueError: not JSON, not an object, or not in canonical form (which also rules out duplicate members).
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"expected an object, got {type(value).__name__}")
    if encode_canonical(value) != data:
        raise ValueError("not in canonical form")
    return value
