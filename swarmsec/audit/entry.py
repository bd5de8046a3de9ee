"""An entry of the log: what a part says happened, placed in the sequence.

Schema version 1, canonical JSON. ``seq`` counts from 0 and is the leaf index of the Merkle tree (RFC 6962 section
2.1) that later reads the same bytes; ``prev`` is the leaf hash of the entry before, so that the newest hash pins all
of them. ``state`` lists the rows that the same transaction wrote, each with its digest, so that the log can be held
against the database. Absent members are left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.canonical import MAX_TEXT, bounded_text, check_integer, encode_canonical, parse_canonical
from swarmsec.audit.errors import EntryInvalid

VERSION: Final = 1
MAX_ENTRY_BYTES: Final = 65_535
"""An entry bundle of C2SP tlog-tiles frames an entry with a 16-bit length."""
HASH_BYTES: Final = 32
GENESIS: Final = bytes(HASH_BYTES)
"""What the first entry names as its predecessor."""
Field = str | int | bool | Sequence[str]


# NOTE: members of all that an entry is made of stand in the order of their names, which is the canonical one; the
# encoder writes them as they stand, because sorting them anew for each entry costs as much as writing them.


class Actor(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who did it: ``type`` is ``local``, ``certificate``, ``token``, ``service`` or ``anonymous``."""

    auth: str = ""
    certificate_sha256: str = ""
    id: str
    type: str


class Source(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where the request came from."""

    ip: str = ""
    node: str = ""
    pid: int | None = None


class ObjectRef(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What it was done to."""

    id: str = ""
    name: str = ""
    type: str
    version: int | None = None


class PolicyRef(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The document that decided."""

    decision: str
    digest: str
    id: str


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a part says happened; texts from outside are cut to ``canonical.MAX_TEXT`` characters."""

    action: Action
    outcome: Outcome
    object: ObjectRef
    actor: Actor
    source: Source = Source()
    reason: str = ""
    policy: PolicyRef | None = None
    request_id: str = ""
    session: str = ""
    fields: Mapping[str, Field] = {}  # msgspec makes a new one for each event


_NOWHERE: Final = Source()


class RowChange(Struct, frozen=True, array_like=True, gc=False):
    """A row that the transaction wrote: its table, its key and the digest of its new content (empty: removed)."""

    table: str
    key: str
    digest: str


class Place(Struct, frozen=True, gc=False):
    """Where an entry stands: sequence, unique id, RFC 3339 time, monotonic microseconds, predecessor's hash."""

    seq: int
    id: str
    time: str
    mono: int
    prev: bytes


class _Entry(Struct, frozen=True, omit_defaults=True):
    """The members of an entry; absent ones are those with their default, and a required one is never None."""

    action: Action | None = None
    actor: Actor | None = None
    fields: Mapping[str, Field] | None = None
    id: str | None = None
    mono: int | None = None
    object: ObjectRef | None = None
    outcome: Outcome | None = None
    policy: PolicyRef | None = None
    prev: str | None = None
    reason: str = ""
    request_id: str = ""
    seq: int | None = None
    session: str = ""
    source: Source | None = None
    state: Sequence[RowChange] | None = None
    time: str | None = None
    v: int | None = None


_encoder: Final = msgspec.json.Encoder(order="deterministic")


def encode_entry(event: Event, place: Place, state: Sequence[RowChange] = ()) -> bytes:
    """Make the exact bytes of an entry.

    Raises:
        EntryInvalid: the entry would be longer than ``MAX_ENTRY_BYTES`` or holds a value with no canonical form.
    """
    fields = event.fields
    try:
        for value in fields.values():
            # Nearly all are texts, which need no look.
            if type(value) is not str:
                _check_field(value)
        # In the order of the members: named arguments take four times as long.
        entry = _Entry(
            event.action,
            event.actor,
            fields or None,
            place.id,
            place.mono,
            event.object,
            event.outcome,
            event.policy,
            place.prev.hex(),
            event.reason,
            event.request_id,
            place.seq,
            event.session,
            None if event.source == _NOWHERE else event.source,
            state or None,
            place.time,
            VERSION,
        )
        data = _encoder.encode(entry)
        if not data.isascii():
            _check_names(fields)
        if len(data) > MAX_TEXT:
            # Only an entry longer than the longest text can hold a text that is too long.
            data = _encode_bounded(entry)
    except UnicodeEncodeError:
        data = _encode_bounded(entry)
    except (ValueError, TypeError) as error:
        raise EntryInvalid(f"an entry cannot carry this: {error}") from None
    if len(data) > MAX_ENTRY_BYTES:
        raise EntryInvalid(f"expected an entry of at most {MAX_ENTRY_BYTES} bytes, got {len(data)}")
    return data


_LISTS: Final = (list, tuple)


def _check_names(fields: Mapping[str, Field]) -> None:
    if not "".join(fields).isascii():
        raise ValueError(f"expected ASCII member names, got {', '.join(fields)!r}")


def _check_field(value: object) -> None:
    if isinstance(value, _LISTS):
        for member in value:
            if not isinstance(member, str):
                raise ValueError(f"expected texts in a list, got {type(member).__name__}")
    elif isinstance(value, int):
        check_integer(value)
    elif not isinstance(value, str):
        raise ValueError(f"expected text, integer, boolean or texts, got {type(value).__name__}")


def _encode_bounded(entry: _Entry) -> bytes:
    """Encode again with every text cut to its bound and fit for UTF-8, but for the rows' keys: they must stay exact."""
    whole = msgspec.to_builtins(entry)
    members = {name: member if name == "state" else _bounded(member) for name, member in whole.items()}
    try:
        return encode_canonical(members)
    except ValueError as error:
        raise EntryInvalid(f"an entry cannot carry this: {error}") from None


def _bounded(value: object) -> object:
    match value:
        case str():
            return bounded_text(value)
        case dict():
            return {name: _bounded(member) for name, member in value.items()}
        case list() | tuple():
            return [_bounded(member) for member in value]
        case _:
            return value


def leaf_hash(data: bytes) -> bytes:
    """The leaf hash of RFC 6962 section 2.1: SHA-256 over 0x00 and the entry."""
    return hashlib.sha256(b"\x00" + data).digest()


def parse_entry(data: bytes) -> dict[str, object]:
    """Read an entry back, strictly.

    Raises:
        EntryInvalid: not canonical, of an unknown version, or without a required member.
    """
    if len(data) > MAX_ENTRY_BYTES:
        raise EntryInvalid(f"expected an entry of at most {MAX_ENTRY_BYTES} bytes, got {len(data)}")
    try:
        entry = parse_canonical(data)
    except ValueError as error:
        raise EntryInvalid(f"expected a canonical entry: {error}") from None
    if entry.get("v") != VERSION or isinstance(entry["v"], bool):
        raise EntryInvalid(f"expected an entry of version {VERSION}, got {entry.get('v')!r:.40}")
    required = {"seq": int, "id": str, "time": str, "mono": int, "prev": str, "action": str, "outcome": str}
    for name, kind in required.items():
        value = entry.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise EntryInvalid(f"expected {name} in the entry, got {value!r:.40}")
    return entry


UUID_RANDOM_BYTES: Final = 10
"""How many random bytes a version 7 UUID takes, of which 74 bits are used."""


def uuid7(unix_ms: int, random: bytes) -> str:
    """A version 7 UUID (RFC 9562 section 5.7).

    Args:
        unix_ms: milliseconds since the epoch.
        random: ``UUID_RANDOM_BYTES`` random bytes.
    """
    return uuid7_head(unix_ms) + uuid7_tails(random)[0]


def uuid7_head(unix_ms: int) -> str:
    """What every version 7 UUID of one millisecond begins with, up to its version."""
    time = f"{unix_ms & 0xFFFF_FFFF_FFFF:012x}"
    return f"{time[:8]}-{time[8:]}-7"


def uuid7_tails(random: bytes) -> list[str]:
    """The rest of version 7 UUIDs, one for each ``UUID_RANDOM_BYTES`` random bytes."""
    drawn = random.hex()
    return [
        f"{drawn[at + 1 : at + 4]}-{_VARIANTS[drawn[at + 4]]}{drawn[at + 5 : at + 8]}-{drawn[at + 8 : at + 20]}"
        for at in range(0, len(drawn), 2 * UUID_RANDOM_BYTES)
    ]


_VARIANTS: Final = {f"{digit:x}": "89ab"[digit & 0x3] for digit in range(16)}
"""The digit with the variant's two bits, for each that was drawn."""
