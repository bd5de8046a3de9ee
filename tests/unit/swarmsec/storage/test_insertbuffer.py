"""New rows are found by whoever looks for them in the same transaction, and what was learned is unlearned in time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.errors import NotFound
from swarmsec.services.swarm.swarm_records import Eviction
from swarmsec.storage.store import Store
from swarmsec.storage.transaction import Transaction
from tests.unit.swarmsec.homes import OPERATOR, make_home


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    home, _, _ = make_home(tmp_path / "home")
    yield home.store
    home.close()


def log(transaction: Transaction) -> None:
    transaction.log(OPERATOR.event(Action.SWARM_EVICT, ObjectRef(type="node", id="n")))


def eviction(node_id: str) -> Eviction:
    values: dict[str, Any] = {"node_id": node_id, "role": "worker", "hostname": "host", "reason": "", "evicted": 1}
    return Eviction(**{name: values[name] for name in Eviction.__slots__})


def test_a_new_row_is_found_by_every_column_that_is_asked_for_however_often(store: Store) -> None:
    def unit(transaction: Transaction) -> None:
        assert transaction.evictions.get("a") is None
        for name in ("a", "b", "c"):
            transaction.evictions.add(eviction(name))
            assert transaction.evictions.get(name) == eviction(name)
            assert transaction.evictions.get(f"not-{name}") is None
        assert [each.node_id for each in transaction.evictions.all()] == ["a", "b", "c"]
        transaction.evictions.add(eviction("d"))
        assert transaction.evictions.get("c") is not None
        assert transaction.evictions.get("d") is not None
        log(transaction)

    store.write(unit)


def test_a_table_that_was_empty_is_so_until_a_row_comes(store: Store) -> None:
    def unit(transaction: Transaction) -> None:
        assert transaction.evictions.get("a") is None
        assert transaction.evictions.get("a") is None
        transaction.evictions.add(eviction("a"))
        assert transaction.evictions.get("a") is not None
        log(transaction)

    store.write(unit)
    assert store.read(lambda transaction: transaction.evictions.get("a")) == eviction("a")


def test_a_setting_is_read_anew_after_it_was_set(store: Store) -> None:
    def unit(transaction: Transaction) -> None:
        assert transaction.settings.get("test") is None
        for value in ("1", "2", "3"):
            transaction.settings.put("test", value)
            assert transaction.settings.get("test") == value
            assert transaction.settings.get("test") == value
        log(transaction)

    store.write(unit)


def test_records_are_made_once_until_their_table_changes(store: Store) -> None:
    def unit(transaction: Transaction) -> None:
        (first,) = transaction.key_terms.all()
        assert transaction.key_terms.all()[0] is first
        transaction.key_terms.change(replace(first, state="decrypt-only"))
        assert [term.state for term in transaction.key_terms.all()] == ["decrypt-only"]
        transaction.key_terms.add(replace(first, term=first.term + 1))
        assert [term.state for term in transaction.key_terms.all()] == ["decrypt-only", "active"]
        log(transaction)

    store.write(unit)


def test_what_another_unit_of_the_group_took_back_was_never_there(store: Store) -> None:
    def failing(transaction: Transaction) -> None:
        transaction.settings.put("test", "never")
        transaction.evictions.add(eviction("never"))
        log(transaction)
        raise NotFound("no such thing")

    def looking(transaction: Transaction) -> tuple[str | None, Eviction | None]:
        return transaction.settings.get("test"), transaction.evictions.get("never")

    before, failed, after = store.write_group([looking, failing, looking])
    assert isinstance(failed.error, NotFound)
    assert before.value == after.value == (None, None)


def test_what_one_unit_of_a_group_set_the_next_one_sees(store: Store) -> None:
    def setting(transaction: Transaction) -> None:
        assert transaction.settings.get("test") is None
        transaction.settings.put("test", "set")
        log(transaction)

    done, seen = store.write_group([setting, lambda transaction: transaction.settings.get("test")])
    assert done.error is None
    assert seen.value == "set"
