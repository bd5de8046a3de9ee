"""The turn to write: of one file, and of no other that comes to lie in its place."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.storage.errors import StoreUnwritable
from swarmsec.storage.store import Store
from tests.unit.swarmsec.homes import OPERATOR, make_home

REPLACED = "was removed or replaced while it was in use"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    home, _, _ = make_home(tmp_path / "home")
    yield home.store
    home.store.anchor = None
    home.close()


def sizes(store: Store) -> int:
    return store.head().size


def write(store: Store) -> None:
    store.write(lambda transaction: transaction.log(OPERATOR.event(Action.POLICY_APPLY, ObjectRef(type="test"))))


def test_nothing_is_written_once_another_file_lies_in_its_place(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "home" / "state.db"
    write(store)
    away, size = tmp_path / "away.db", sizes(store)
    shutil.copyfile(path, tmp_path / "older.db")

    path.rename(away)
    (tmp_path / "older.db").rename(path)
    with pytest.raises(StoreUnwritable, match=REPLACED):
        write(store)

    away.rename(path)
    write(store)
    assert sizes(store) == size + 1


def test_nothing_is_written_into_a_file_without_a_name(store: Store, tmp_path: Path) -> None:
    write(store)
    (tmp_path / "home" / "state.db").unlink()

    with pytest.raises(StoreUnwritable, match=REPLACED):
        write(store)


def test_a_file_that_is_back_is_written_to_also_over_a_new_connection(store: Store, tmp_path: Path) -> None:
    path, away = tmp_path / "home" / "state.db", tmp_path / "away.db"
    write(store)
    path.rename(away)
    with pytest.raises(StoreUnwritable, match=REPLACED):
        write(store)
    with pytest.raises(StoreUnwritable, match=REPLACED):
        write(store)
    assert not path.exists()

    away.rename(path)
    with pytest.raises(ZeroDivisionError):
        store.write(lambda transaction: 1 // 0)
    write(store)
