"""Following the log: every entry once, in order, also after a read that broke off."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmsec.audit.actions import Action
from swarmsec.audit.decoding import decode_quickly
from swarmsec.audit.entry import ObjectRef
from swarmsec.errors import Unavailable
from swarmsec.storage import following
from swarmsec.storage.following import LogFollower
from swarmsec.storage.store import Store
from tests.unit.swarmsec.homes import OPERATOR, make_home


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    home, _, _ = make_home(tmp_path / "home")
    yield home.store
    home.close()


def _log(store: Store, count: int) -> None:
    for number in range(count):
        event = OPERATOR.event(Action.SERVE_START, ObjectRef(type="server", id=str(number)))
        store.write(lambda transaction, event=event: transaction.log(event))  # type: ignore[misc]  # a default argument


def test_from_the_head_on_every_entry_comes_once(store: Store) -> None:
    follower = LogFollower(store, store.head().size)
    _log(store, 3)

    first, second = follower.poll(), follower.poll()

    assert [entry["object"]["id"] for entry in first.entries] == ["0", "1", "2"]  # type: ignore[index]  # JSON
    assert second.entries == []


def test_from_the_beginning_the_rows_that_changed_are_named(store: Store) -> None:
    news = LogFollower(store, 0).poll()

    assert {"settings", "authorities", "join_tokens"} & set(news.rows)


def test_a_batch_is_bounded_and_goes_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "BATCH", 2)
    follower = LogFollower(store, store.head().size)
    _log(store, 5)

    assert [len(follower.poll().entries) for _ in range(4)] == [2, 2, 1, 0]


def test_what_a_broken_read_gave_comes_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    follower = LogFollower(store, store.head().size)
    _log(store, 3)
    seen: list[bytes] = []

    def breaking(data: bytes) -> object:
        seen.append(data)
        if len(seen) == 2:
            raise Unavailable("the database server could not be reached")
        return decode_quickly(data)

    monkeypatch.setattr("swarmsec.storage.following.decode_quickly", breaking)
    with pytest.raises(Unavailable):
        follower.poll()

    assert len(follower.poll().entries) == 3


def test_quickly_or_not_an_entry_says_the_same(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = LogFollower(store, 0).poll()
    monkeypatch.setattr("swarmsec.storage.following.decode_quickly", lambda _: None)
    slow = LogFollower(store, 0).poll()

    assert len(quick.entries) > 1
    assert quick.rows == slow.rows
    assert json.dumps(quick.entries, sort_keys=True) == json.dumps(slow.entries, sort_keys=True)
