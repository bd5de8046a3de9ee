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
from json.encoder import encode_basestring as _quoted
from typing import Final, NamedTuple

from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.canonical import bounded_text, check_integer, parse_canonical
from swarmsec.audit.errors import EntryInvalid

VERSION: Final = 1
MAX_ENTRY_BYTES: Final = 65_535
"""An entry bundle of C2SP tlog-tiles frames an entry with a 16-bit length."""
HASH_BYTES: Final = 32
GENESIS: Final = bytes(HASH_BYTES)
"""What the first entry names as its predecessor."""
_ACTOR: Final = ("auth", "certificate_sha256", "id", "type")
_OBJECT: Final = ("id", "name", "type", "version")
_POLICY: Final = ("decision", "digest", "id")
_SOURCE: Final = ("ip", "node", "pid")


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


class RowChange(NamedTuple):
    """A row that the transaction wrote: its table, its key and the digest of its new content (empty: removed)."""

    table: str
    key: str
    digest: str


class Place(NamedTuple):
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
    try:
        data = _encode(event, place, state).encode()
    except (ValueError, TypeError) as error:
        raise EntryInvalid(f"an entry cannot carry this: {error}") from None
    if len(data) > MAX_ENTRY_BYTES:
        raise EntryInvalid(f"expected an entry of at most {MAX_ENTRY_BYTES} bytes, got {len(data)}")
    return data


def _encode(event: Event, place: Place, state: Sequence[RowChange]) -> str:
    """Write the members in their canonical order, without building the object first.

    Every durable write waits for this. A property test holds it to ``canonical.encode_canonical``.
    """
    members = [
        f'"action":{_quoted(event.action)}',
        f'"actor":{_object(event.actor, _ACTOR)}',
        _optional("fields", _fields(event.fields)) if event.fields else "",
        f'"id":{_quoted(place.id)},"mono":{place.mono:d},"object":{_object(event.object, _OBJECT)}',
        f'"outcome":{_quoted(event.outcome)}',
        _optional("policy", _object(event.policy, _POLICY)) if event.policy else "",
        f'"prev":"{place.prev.hex()}"',
        _optional("reason", _text(event.reason)) if event.reason else "",
        _optional("request_id", _text(event.request_id)) if event.request_id else "",
        f'"seq":{place.seq:d}',
        _optional("session", _text(event.session)) if event.session else "",
        _optional("source", _object(event.source, _SOURCE)),
        _optional("state", _state(state)) if state else "",
        f'"time":{_quoted(place.time)},"v":{VERSION}',
    ]
    return "{" + ",".join([member for member in members if member]) + "}"


def _optional(name: str, encoded: str) -> str:
    return "" if encoded == "{}" else f'"{name}":{encoded}'


def _object(value: Actor | Source | ObjectRef | PolicyRef, names: Sequence[str]) -> str:
    """An object of texts and integers; ``names`` are its members in order, empty ones are left out."""
    members = []
    for name in names:
        member = getattr(value, name)
        if member is not None and member != "":
            members.append(f'"{name}":{_value(member)}')
    return "{" + ",".join(members) + "}"


def _fields(fields: Mapping[str, object]) -> str:
    return "{" + ",".join([f"{_quoted(_ascii(name))}:{_value(fields[name])}" for name in sorted(fields)]) + "}"


def _state(state: Sequence[RowChange]) -> str:
    rows = [f"[{_quoted(table)},{_quoted(key)},{_quoted(digest)}]" for table, key, digest in state]
    return "[" + ",".join(rows) + "]"


def _text(text: str) -> str:
    return _quoted(bounded_text(text))


def _value(value: object) -> str:
    if isinstance(value, str):
        return _quoted(bounded_text(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(check_integer(value))
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return "[" + ",".join([_text(str(member)) for member in value]) + "]"
    raise ValueError(f"expected text, integer, boolean or texts, got {type(value).__name__}")


def _ascii(name: str) -> str:
    if not name.isascii():
        raise ValueError(f"expected ASCII member names, got {name!r}")
    return name


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
