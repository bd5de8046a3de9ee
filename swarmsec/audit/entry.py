"""An entry of the log: what a part says happened, placed in the sequence.

Schema version 1, canonical JSON. ``seq`` counts from 0 and is the leaf index of the Merkle tree (RFC 6962 section
2.1) that later reads the same bytes; ``prev`` is the leaf hash of the entry before, so that the newest hash pins all
of them. ``state`` lists the rows that the same transaction wrote, each with its digest, so that the log can be held
against the database. Absent members are left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.canonical import bounded_text, encode_canonical, parse_canonical
from swarmsec.audit.errors import EntryInvalid

VERSION: Final = 1
MAX_ENTRY_BYTES: Final = 65_535
"""An entry bundle of C2SP tlog-tiles frames an entry with a 16-bit length."""
HASH_BYTES: Final = 32
GENESIS: Final = bytes(HASH_BYTES)
"""What the first entry names as its predecessor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who did it: ``type`` is ``local``, ``certificate``, ``token``, ``service`` or ``anonymous``."""

    type: str
    id: str
    auth: str = ""
    certificate_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the request came from."""

    ip: str = ""
    node: str = ""
    pid: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRef:
    """What it was done to."""

    type: str
    id: str = ""
    name: str = ""
    version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRef:
    """The document that decided."""

    id: str
    digest: str
    decision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a part says happened; texts from outside are cut to ``canonical.MAX_TEXT`` characters."""

    action: Action
    outcome: Outcome
    object: ObjectRef
    actor: Actor
    source: Source = field(default_factory=Source)
    reason: str = ""
    policy: PolicyRef | None = None
    request_id: str = ""
    session: str = ""
    fields: Mapping[str, str | int | bool | Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChange:
    """A row that the transaction wrote: its table, its key and the digest of its new content (empty: removed)."""

    table: str
    key: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an entry stands: sequence, unique id, RFC 3339 time, monotonic microseconds, predecessor's hash."""

    seq: int
    id: str
    time: str
    mono: int
    prev: bytes


def encode_entry(event: Event, place: Place, state: Sequence[RowChange] = ()) -> bytes:
    """Make the exact bytes of an entry.

    Raises:
        EntryInvalid: the entry would be longer than ``MAX_ENTRY_BYTES`` or holds a value with no canonical form.
    """
    entry: dict[str, object] = {
        "v": VERSION,
        "seq": place.seq,
        "id": place.id,
        "time": place.time,
        "mono": place.mono,
        "prev": place.prev.hex(),
        "action": event.action.value,
        "outcome": event.outcome.value,
        "actor": _members(event.actor),
        "object": _members(event.object),
    }
    source = _members(event.source)
    optional: dict[str, object] = {
        "source": source,
        "reason": bounded_text(event.reason),
        "policy": _members(event.policy) if event.policy else {},
        "request_id": bounded_text(event.request_id),
        "session": bounded_text(event.session),
        "state": [[change.table, change.key, change.digest] for change in state],
    }
    try:
        optional["fields"] = {name: _bounded(value) for name, value in event.fields.items()}
        entry.update({name: value for name, value in optional.items() if value})
        data = encode_canonical(entry)
    except ValueError as error:
        raise EntryInvalid(f"an entry cannot carry this: {error}") from None
    if len(data) > MAX_ENTRY_BYTES:
        raise EntryInvalid(f"expected an entry of at most {MAX_ENTRY_BYTES} bytes, got {len(data)}")
    return data


def _members(value: Actor | Source | ObjectRef | PolicyRef) -> dict[str, object]:
    named = ((name, getattr(value, name)) for name in value.__slots__)
    return {
        name: bounded_text(member) if isinstance(member, str) else member
        for name, member in named
        if member is not None and member != ""
    }


def _bounded(value: object) -> object:
    if isinstance(value, str):
        return bounded_text(value)
    if isinstance(value, bool | int):
        return value
    if isinstance(value, Sequence):
        return [bounded_text(str(member)) for member in value]
    raise ValueError(f"expected text, integer, boolean or texts, got {type(value).__name__}")


def leaf_hash(data: bytes) -> bytes:
    """The leaf hash of RFC 6962 section 2.1: SHA-256 over 0x00 and the entry."""
    return hashlib.sha256(b"\x00" + data).digest()


def parse_entry(data: bytes) -> dict[str, object]:
    """Read an entry back, strictly.

    Raises:
        EntryInvalid: not canonical, of an unknown version, or without a required member.
    """
    try:
        entry = parse_canonical(data)
    except ValueError as error:
        raise EntryInvalid(f"expected a canonical entry: {error}") from None
    if entry.get("v") != VERSION:
        raise EntryInvalid(f"expected an entry of version {VERSION}, got {entry.get('v')!r}")
    required = {"seq": int, "id": str, "time": str, "mono": int, "prev": str, "action": str, "outcome": str}
    for name, kind in required.items():
        if not isinstance(entry.get(name), kind):
            raise EntryInvalid(f"expected {name} in the entry, got {entry.get(name)!r}")
    return entry


def uuid7(unix_ms: int, random: bytes) -> str:
    """A version 7 UUID (RFC 9562 section 5.7).

    Args:
        unix_ms: milliseconds since the epoch.
        random: 10 random bytes, of which 74 bits are used.
    """
    bits = (unix_ms & (2**48 - 1)) << 80 | int.from_bytes(random, "big")
    bits = bits & ~(0xF << 76) | 0x7 << 76
    bits = bits & ~(0x3 << 62) | 0x2 << 62
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
