"""Rotation moves everything, is resumed where it was left, is done by one at a time, and leaves no former term."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmsec.audit.entry import MAX_ENTRY_BYTES
from swarmsec.errors import Changed
from swarmsec.keys.signers import SealedKeys
from swarmsec.services.homes.rotate_keys import (
    BATCH,
    LEASE,
    Begun,
    Finished,
    Held,
    Worker,
    begin_rotation,
    finish_rotation,
    list_terms,
    rewrap_batch,
)
from swarmsec.storage.checking import verify_store
from swarmsec.storage.tables import audit_entries
from swarmsec.wiring.homes.home import Home, open_home
from swarmsec.wiring.homes.rotating import Rotated, Watcher, rotate_keys
from tests.unit.swarmsec.homes import OPERATOR, make_home, open_values, seal_values

VALUES = {f"test/value/{number:04d}": f"value {number}".encode() for number in range(2 * BATCH + 7)}
OWN_RECORDS = 5
"""Two standing tokens, the keys of the authority and of the log, and the backup's MAC key."""


class Seen:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.waited: list[str] = []
        self.begun: list[Begun] = []
        self.batches: list[int] = []
        self.watcher = Watcher(waits=self.waited.append, begins=self.begun.append, moved=self.batches.append)


@pytest.fixture
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Home, SealedKeys]]:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    home, keys, _ = make_home(tmp_path / "home")
    seal_values(home, keys, VALUES)
    yield home, keys
    home.close()


def rotate(home: Home, keys: SealedKeys, seen: Seen | None = None) -> Rotated:
    return rotate_keys(home, keys.ring, OPERATOR, (seen or Seen()).watcher, lambda seconds: None)


def begin(home: Home, keys: SealedKeys, holder: str, *, followed: bool = False) -> Held | Begun | Finished:
    return home.store.write(
        lambda transaction: begin_rotation(transaction, keys.ring, OPERATOR, holder, followed=followed)
    )


def begun(home: Home, keys: SealedKeys, holder: str) -> Worker:
    answer = begin(home, keys, holder)
    assert isinstance(answer, Begun)
    return Worker(holder=holder, fence=answer.fence)


def batch(home: Home, keys: SealedKeys, worker: Worker, after: str) -> tuple[int, str]:
    return home.store.write(lambda transaction: rewrap_batch(transaction, keys.ring, OPERATOR, worker, after))


def end_lease(home: Home, fence: int) -> None:
    """As time does for a process that died."""
    home.store.write(lambda transaction: transaction.leases.release(LEASE, fence))


def states(home: Home) -> dict[int, tuple[str, int]]:
    return {item.term: (item.state, item.records) for item in home.store.read(list_terms)}


def entries(home: Home, action: str) -> list[dict[str, object]]:
    with home.store.reading() as transaction:
        rows = transaction.connection.execute(audit_entries.select().order_by(audit_entries.c.seq)).all()
    parsed = [json.loads(row.data) for row in rows]
    return [entry for entry in parsed if entry["action"] == action]


def test_every_record_moves_and_still_opens(filled: tuple[Home, SealedKeys]) -> None:
    home, keys = filled
    seen = Seen()
    rotated = rotate(home, keys, seen)
    assert rotated == Rotated(term=2, destroyed=[1], records=len(VALUES) + OWN_RECORDS, resumed=False, followed=False)
    assert seen.batches == [BATCH, BATCH, 7 + OWN_RECORDS]
    assert states(home) == {1: ("destroyed", 0), 2: ("active", len(VALUES) + OWN_RECORDS)}
    assert open_values(home, keys, sorted(VALUES)) == VALUES
    assert verify_store(home.store).entries == home.store.head().size


def test_a_fresh_process_opens_what_was_moved(filled: tuple[Home, SealedKeys]) -> None:
    home, keys = filled
    rotate(home, keys)
    again = open_home(home.path)
    try:
        assert open_values(again, again.keys(), sorted(VALUES)) == VALUES
    finally:
        again.close()


def test_the_erased_key_is_gone_from_every_file_of_the_home(filled: tuple[Home, SealedKeys]) -> None:
    home, keys = filled
    with home.store.reading() as transaction:
        (before,) = transaction.key_terms.all()
    rotate(home, keys)
    for file in home.path.iterdir():
        assert before.body not in file.read_bytes(), file.name


@pytest.mark.parametrize("batches", [0, 1, 3])
def test_what_was_left_unfinished_is_continued_without_a_further_term(
    filled: tuple[Home, SealedKeys], batches: int
) -> None:
    home, keys = filled
    worker, after = begun(home, keys, "first"), ""
    for _ in range(batches):
        _, after = batch(home, keys, worker, after)
    end_lease(home, worker.fence)
    seen = Seen()
    rotated = rotate(home, keys, seen)
    assert (rotated.term, rotated.resumed, seen.begun[0].resumed) == (2, True, True)
    assert list(states(home)) == [1, 2]
    assert states(home)[1] == ("destroyed", 0)


def test_a_second_caller_learns_who_is_at_it(filled: tuple[Home, SealedKeys]) -> None:
    home, keys = filled
    begun(home, keys, "first")
    assert begin(home, keys, "second") == Held(holder="first")


def test_a_follower_takes_the_end_for_its_own(filled: tuple[Home, SealedKeys]) -> None:
    home, keys = filled
    worker = begun(home, keys, "first")
    seen = Seen()

    def meanwhile(_: float) -> None:
        while batch(home, keys, worker, "")[0]:
            pass
        home.store.write(lambda transaction: finish_rotation(transaction, keys.ring, OPERATOR, worker))

    rotated = rotate_keys(home, keys.ring, OPERATOR, seen.watcher, meanwhile)
    assert rotated == Rotated(term=2, destroyed=(), records=0, resumed=False, followed=True)
    assert seen.waited == ["first"]
    assert list(states(home)) == [1, 2]


def test_one_that_lost_its_lease_writes_nothing_more(filled: tuple[Home, SealedKeys]) -> None:
    home, keys = filled
    first = begun(home, keys, "first")
    end_lease(home, first.fence)
    begun(home, keys, "second")
    before = home.store.head()
    with pytest.raises(Changed):
        batch(home, keys, first, "")
    with pytest.raises(Changed):
        home.store.write(lambda transaction: finish_rotation(transaction, keys.ring, OPERATOR, first))
    assert home.store.head() == before


def test_a_term_with_records_is_not_erased(filled: tuple[Home, SealedKeys]) -> None:
    home, keys = filled
    worker = begun(home, keys, "first")
    assert home.store.write(lambda transaction: finish_rotation(transaction, keys.ring, OPERATOR, worker)) == []
    assert open_values(home, keys, sorted(VALUES)) == VALUES


def test_every_step_is_an_entry(filled: tuple[Home, SealedKeys]) -> None:
    home, keys = filled
    rotate(home, keys)
    assert [entry["fields"] for entry in entries(home, "key.rewrap")] == [
        {"records": BATCH},
        {"records": BATCH},
        {"records": 7 + OWN_RECORDS},
    ]
    assert [entry["object"] for entry in entries(home, "key.rotate")] == [{"type": "key-term", "version": 2}]
    assert [entry["object"] for entry in entries(home, "key.destroy")] == [{"type": "key-term", "version": 1}]


def test_long_names_make_smaller_batches_instead_of_entries_that_do_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    home, keys, _ = make_home(tmp_path / "home")
    values = {"/" * 250 + f"{number:03d}": b"value" for number in range(BATCH)}
    for name, value in values.items():
        seal_values(home, keys, {name: value})
    seen = Seen()
    rotate(home, keys, seen)
    assert len(seen.batches) > 1
    assert sum(seen.batches) == len(values) + OWN_RECORDS
    assert max(len(json.dumps(entry)) for entry in entries(home, "key.rewrap")) < MAX_ENTRY_BYTES
    home.close()
