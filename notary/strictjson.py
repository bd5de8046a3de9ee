"""JSON from outside, read strictly, and the canonical form that TUF signs.

A reader that takes the last of two members of one name, or a number that another reader rounds, lets one text mean two
things; so duplicates, floats, NaN, integers beyond 63 bits, lone surrogates and other encodings than UTF-8 are refused
(RFC 8259 section 4, RFC 7493 section 2). The canonical form is the one of the TUF specification (section 4.2.1, OLPC
canonical JSON): sorted members, no spaces, and only quote and backslash escaped. NOTE: that leaves line breaks inside
texts as they are, so the canonical form of metadata with PEM keys is no JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NoReturn

import msgspec
from securesystemslib.exceptions import FormatError
from securesystemslib.formats import encode_canonical

from notary.errors import InvalidMetadata

MAX_INTEGER: Final = 2**63 - 1
_MAX_DIGITS: Final = 20


def parse_strict(data: bytes, *, limit: int) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        data: UTF-8 without byte order mark.
        limit: bytes at most.

    Raises:
        InvalidMetadata: too long, or not exactly one object as the module describes it.
    """
    if len(data) > limit:
        raise InvalidMetadata(f"expected at most {limit} bytes of JSON, got {len(data)}")
    try:
        value = _DECODER.decode(data.decode("utf-8"))
        if b"\\u" in data:
            # Escapes can spell lone surrogates, which have no UTF-8 and so no canonical form.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise InvalidMetadata("expected JSON that is not nested this deeply") from None
    except ValueError as error:
        raise InvalidMetadata(f"expected JSON in UTF-8: {str(error)[:200]}") from None
    if not isinstance(value, dict):
        raise InvalidMetadata(f"expected a JSON object, got {type(value).__name__}")
    return value


def encode_json(value: Mapping[str, Any]) -> bytes:
    """Encode as compact JSON with sorted members."""
    return msgspec.json.encode(value, order="sorted")


def canonical(value: Mapping[str, Any]) -> bytes:
    """Return the canonical form: the bytes that signatures are over.

    Args:
        value: from ``parse_strict`` or built here, so without floats, which have no canonical form.

    Raises:
        InvalidMetadata: the value holds something without a canonical form.
    """
    try:
        data = encode_json(value)
        # Without an escape the two forms are the same bytes, and this way is a hundred times faster.
        return encode_canonical(dict(value)).encode("utf-8") if b"\\" in data else data  # type: ignore[union-attr]  # given no output function it returns the text
    except (FormatError, TypeError, ValueError) as error:
        raise InvalidMetadata(f"expected a value with a canonical form: {str(error)[:200]}") from None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _integer(text: str) -> int:
    value = int(text) if len(text) <= _MAX_DIGITS else MAX_INTEGER + 1
    if not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise ValueError("an integer beyond 63 bits")
    return value


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"expected integers alone, got {text[:20]}")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_members, parse_float=_refuse_number, parse_constant=_refuse_number, parse_int=_integer
)
