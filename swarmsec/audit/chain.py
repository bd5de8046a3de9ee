"""Check a run of entries: sequence, predecessor, leaf hash, and what they say of the database's rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from swarmsec.audit.decoding import decode_quickly
from swarmsec.audit.entry import GENESIS, leaf_hash, parse_entry
from swarmsec.audit.errors import EntryInvalid
from swarmsec.audit.merkle import RightEdge

MAX_STEPS = 100
_HINT = "keep a copy of this home as it is, then restore the newest backup with: swarmsec restore FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    """An entry as storage keeps it."""

    seq: int
    data: bytes
    leaf_hash: bytes


@dataclass(slots=True, kw_only=True)
class ChainState:
    """What the entries read so far establish."""

    entries: int = 0
    head: bytes = GENESIS
    tree: RightEdge = field(default_factory=RightEdge)
    time: str = ""
    """Of the newest entry, as it says."""
    steps: list[int] = field(default_factory=list)
    """Entries whose clock was behind that of the entry before, the first ``MAX_STEPS`` of them."""
    rows: dict[tuple[str, str], str] = field(default_factory=dict)
    """The newest digest that an entry gives for each row, keyed by table and key; removed rows are absent."""


def verify_chain(entries: Iterable[StoredEntry], start: ChainState | None = None) -> ChainState:
    """Verify entries in their order.

    Args:
        entries: the stored entries, ascending.
        start: where an earlier call ended; the beginning of the log without it.

    Returns:
        what they establish.

    Raises:
        EntryInvalid: names the first sequence number that is wrong, and how.
    """
    state = start or ChainState()
    for stored in entries:
        _verify_next(stored, state)
    return state


def verify_entry(stored: StoredEntry) -> dict[str, object]:
    """Verify one entry by itself: its bytes against its stored hash and its place.

    Returns:
        its members.

    Raises:
        EntryInvalid: names the entry and what is wrong with it.
    """
    if leaf_hash(stored.data) != stored.leaf_hash:
        raise _invalid(stored.seq, "its bytes do not match its stored hash")
    try:
        entry = parse_entry(stored.data)
    except EntryInvalid as error:
        raise _invalid(stored.seq, str(error)) from None
    if entry["seq"] != stored.seq:
        raise _invalid(stored.seq, f"expected this number in the entry, got {entry['seq']!r:.40}")
    return entry


def _verify_next(stored: StoredEntry, state: ChainState) -> None:
    seq = state.entries
    if stored.seq != seq:
        raise _invalid(seq, f"expected this entry next, got {stored.seq!r:.40}")
    prev: object
    changes: object
    quick = decode_quickly(stored.data)
    if quick is not None and quick.seq == seq and leaf_hash(stored.data) == stored.leaf_hash:
        prev, changes, time = quick.prev, quick.state or [], quick.time
    else:
        entry = verify_entry(stored)
        prev, changes, time = entry["prev"], entry.get("state", []), str(entry["time"])
    if prev != state.head.hex():
        raise _invalid(seq, "it does not follow the entry before it")
    _apply_state(changes, state, seq)
    if time < state.time and len(state.steps) < MAX_STEPS:
        state.steps.append(seq)
    state.time = time
    state.entries += 1
    state.head = stored.leaf_hash
    state.tree.append(stored.leaf_hash)


def _apply_state(changes: object, state: ChainState, seq: int) -> None:
    if not isinstance(changes, list):
        raise _invalid(seq, "expected a list of row changes")
    for change in changes:
        match change:
            case [str(table), str(key), str(digest)]:
                if digest:
                    state.rows[table, key] = digest
                else:
                    state.rows.pop((table, key), None)
            case _:
                raise _invalid(seq, "expected table, key and digest in a row change")


def _invalid(seq: int, what: str) -> EntryInvalid:
    return EntryInvalid(f"log entry {seq}: {what}", seq=seq, hint=_HINT)
