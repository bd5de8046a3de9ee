"""The quick way to read an entry that is in canonical form, for those who read a million of them.

An entry is taken here only if encoding what was read gives the same bytes again, which proves the canonical form of
everything that an entry usually holds. Whatever else an entry may hold, ``entry.parse_entry`` decides.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from swarmsec.audit.canonical import MAX_INTEGER
from swarmsec.audit.entry import MAX_ENTRY_BYTES, VERSION, Actor, ObjectRef, PolicyRef, Source


class DecodedEntry(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """An entry's members; see docs/audit.md."""

    v: int
    seq: int
    id: str
    time: str
    mono: int
    prev: str
    action: str
    outcome: str
    object: ObjectRef
    actor: Actor
    source: Source | None = None
    reason: str = ""
    policy: PolicyRef | None = None
    request_id: str = ""
    session: str = ""
    fields: dict[str, str | int | bool | list[str]] | None = None
    state: list[tuple[str, str, str]] | None = None


_decoder: Final = msgspec.json.Decoder(DecodedEntry)
_encoder: Final = msgspec.json.Encoder(order="sorted")


def decode_quickly(data: bytes) -> DecodedEntry | None:
    """An entry's members, or None for bytes that only ``entry.parse_entry`` can judge."""
    if len(data) > MAX_ENTRY_BYTES:
        return None
    try:
        entry = _decoder.decode(data)
        if entry.v != VERSION or _encoder.encode(entry) != data or not _has_exact_integers(entry):
            return None
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return entry


def _has_exact_integers(entry: DecodedEntry) -> bool:
    """Whether every integer is within 53 bits, as canonical ones are."""
    source = entry.source
    numbers = [entry.seq, entry.mono, entry.object.version or 0, (source.pid or 0) if source is not None else 0]
    if entry.fields:
        numbers += [value for value in entry.fields.values() if type(value) is int]
    return max(numbers) <= MAX_INTEGER and min(numbers) >= -MAX_INTEGER
