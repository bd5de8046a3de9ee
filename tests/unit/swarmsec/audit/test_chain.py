"""A run of entries: each thing that can be wrong with it is named, with the number of the first wrong entry."""

from __future__ import annotations

from dataclasses import replace

import pytest

from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.canonical import encode_canonical
from swarmsec.audit.chain import StoredEntry, verify_chain, verify_entry
from swarmsec.audit.entry import GENESIS, Actor, Event, ObjectRef, Place, RowChange, encode_entry, leaf_hash
from swarmsec.audit.errors import EntryInvalid
from swarmsec.audit.merkle import tree_hash

EVENT = Event(
    action=Action.CA_ISSUE,
    outcome=Outcome.SUCCESS,
    object=ObjectRef(type="certificate", id="1f"),
    actor=Actor(type="local", id="uid:0"),
)


def log_of(count: int, *, state: tuple[RowChange, ...] = ()) -> list[StoredEntry]:
    """A log of that many entries, each of which writes ``state``."""
    entries: list[StoredEntry] = []
    for seq in range(count):
        prev = entries[-1].leaf_hash if entries else GENESIS
        place = Place(seq=seq, id=f"id-{seq}", time="2026-01-01T00:00:00.000Z", mono=seq, prev=prev)
        data = encode_entry(EVENT, place, state)
        entries.append(StoredEntry(seq=seq, data=data, leaf_hash=leaf_hash(data)))
    return entries


def rewritten(entry: StoredEntry, old: bytes, new: bytes) -> StoredEntry:
    """An entry with other bytes and the hash that fits them."""
    data = entry.data.replace(old, new)
    assert data != entry.data
    return replace(entry, data=data, leaf_hash=leaf_hash(data))


def test_a_whole_log_gives_its_size_head_root_and_rows() -> None:
    entries = log_of(5, state=(RowChange(table="t", key="k", digest="aa"),))
    state = verify_chain(entries)
    assert (state.entries, state.head) == (5, entries[-1].leaf_hash)
    assert state.tree.root() == tree_hash(entry.leaf_hash for entry in entries)
    assert state.rows == {("t", "k"): "aa"}


def test_an_empty_digest_takes_the_row_away() -> None:
    first, second = log_of(2, state=(RowChange(table="t", key="k", digest=""),))
    assert verify_chain([first, second]).rows == {}


def test_a_later_call_goes_on_where_the_earlier_ended() -> None:
    entries = log_of(4)
    whole = verify_chain(entries)
    resumed = verify_chain(entries[2:], verify_chain(entries[:2]))
    assert (resumed.entries, resumed.tree.root()) == (whole.entries, whole.tree.root())


def broken(kind: str) -> list[StoredEntry]:
    """A log of five entries whose entry 2 is the first wrong one."""
    entries = log_of(5)
    match kind:
        case "gap":
            del entries[2]
        case "bytes":
            entries[2] = replace(entries[2], data=entries[2].data.replace(b"uid:0", b"uid:1"))
        case "hash":
            entries[2] = replace(entries[2], leaf_hash=bytes(32))
        case "rewritten predecessor":
            entries[1] = rewritten(entries[1], b"uid:0", b"uid:1")
        case "number":
            entries[2] = rewritten(entries[2], b'"seq":2', b'"seq":3')
        case "form":
            entries[2] = rewritten(entries[2], b'"v":1', b'"v": 1')
        case "version":
            entries[2] = rewritten(entries[2], b'"v":1', b'"v":2')
        case "rows":
            data = encode_canonical({**verify_entry(entries[2]), "state": [["t", "k"]]})
            entries[2] = replace(entries[2], data=data, leaf_hash=leaf_hash(data))
    return entries


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("gap", "expected this entry next, got 3"),
        ("bytes", "its bytes do not match its stored hash"),
        ("hash", "its bytes do not match its stored hash"),
        ("rewritten predecessor", "it does not follow the entry before it"),
        ("number", "expected this number in the entry, got 3"),
        ("form", "not in canonical form"),
        ("version", "expected an entry of version 1, got 2"),
        ("rows", "expected table, key and digest in a row change"),
    ],
)
def test_the_first_wrong_entry_is_named(kind: str, message: str) -> None:
    with pytest.raises(EntryInvalid, match=message) as caught:
        verify_chain(broken(kind))
    assert caught.value.seq == 2
    assert str(caught.value).startswith("log entry 2: ")
