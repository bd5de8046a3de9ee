"""Request targets: the path in its segments and the query, strictly decoded.

Segments are split before they are decoded, so an encoded slash stays inside its segment and never makes a new one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from urllib.parse import parse_qsl, unquote_to_bytes

from swarmsec.errors import UsageProblem

MAX_QUERY_FIELDS = 32
_PATH = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)+", re.ASCII)
_QUERY = re.compile(r"(?:[A-Za-z0-9._~!$'()*+,;=:@/?&-]|%[0-9A-Fa-f]{2})*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A parsed request target; ``path`` is as it was sent, ``segments`` are decoded."""

    path: str
    segments: tuple[str, ...]
    query: Mapping[str, str]


def parse_target(text: str) -> Target:
    """Parse a target in origin form (RFC 9112, 3.2.1).

    Raises:
        UsageProblem: another form, wrong percent encoding, control characters, text that is not UTF-8, dot
            segments, a repeated or unnamed query field, too many of them.
    """
    path, _, query = text.partition("?")
    return Target(path=path, segments=_parse_path(path), query=_parse_query(query)) if query else _parse_plain(path)


@lru_cache(maxsize=256)
def _parse_plain(path: str) -> Target:
    """One without a query, the same for everybody who asks for it."""
    return Target(path=path, segments=_parse_path(path), query=MappingProxyType({}))


def _parse_path(path: str) -> tuple[str, ...]:
    if not _PATH.fullmatch(path):
        raise UsageProblem("expected a path in origin form with percent encoding")
    segments = tuple(_decode(segment) for segment in path.split("/")[1:])
    if any(segment in {".", ".."} for segment in segments):
        raise UsageProblem("expected a path without dot segments")
    return segments


def _decode(text: str) -> str:
    try:
        decoded = unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise UsageProblem("expected a path in UTF-8") from None
    return _printable(decoded)


def _parse_query(text: str) -> dict[str, str]:
    if not _QUERY.fullmatch(text):
        raise UsageProblem("expected a query with percent encoding")
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MAX_QUERY_FIELDS
        )
    except ValueError:
        raise UsageProblem(f"expected at most {MAX_QUERY_FIELDS} query fields, each name=value in UTF-8") from None
    fields = {_printable(name): _printable(value) for name, value in pairs}
    if len(fields) != len(pairs) or "" in fields:
        raise UsageProblem("expected each query field to have a name and to stand once")
    return fields


def _printable(text: str) -> str:
    if any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in text):
        raise UsageProblem("expected no control characters in the request target")
    return text
