"""What a rotation of the root asks of the store, on SQLite and on PostgreSQL by the same tests."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from swarmsec.services.rotation.rotation_records import RotationNode
from swarmsec.storage.checking import verify_store
from swarmsec.storage.errors import StoreCorrupt
from swarmsec.storage.rotationtables import rotation_nodes
from swarmsec.storage.store import Store
from swarmsec.storage.transaction import Transaction
from tests.integration.storecontract import database, event, store

__all__ = ["database", "store"]


def test_any_other_node_at_a_step_is_found_also_among_those_just_written(store: Store) -> None:
    def fill(transaction: Transaction) -> None:
        for node in ("anna", "bert"):
            transaction.rotations.put_node(RotationNode(rotation=1, node=node, step="pending", since=5), is_new=True)
        transaction.rotations.put_node(RotationNode(rotation=2, node="cara", step="acknowledged", since=5), is_new=True)
        another = transaction.rotations.another_at(1, "pending", than="anna")
        assert another == RotationNode(rotation=1, node="bert", step="pending", since=5)
        transaction.log(event())

    def check(transaction: Transaction) -> None:
        another = transaction.rotations.another_at(1, "pending", than="bert")
        assert another == RotationNode(rotation=1, node="anna", step="pending", since=5)
        assert transaction.rotations.another_at(2, "acknowledged", than="cara") is None
        assert transaction.rotations.another_at(1, "acknowledged", than="") is None

    store.write(fill)
    store.read(check)


def test_that_no_other_node_is_at_a_step_is_known_until_one_comes(store: Store) -> None:
    def node(name: str, step: str) -> RotationNode:
        return RotationNode(rotation=1, node=name, step=step, since=5)

    def unit(transaction: Transaction) -> None:
        rotations = transaction.rotations

        def another(step: str) -> str | None:
            found = rotations.another_at(1, step, than="anna")
            return None if found is None else found.node

        for name in ("anna", "bert", "cara"):
            rotations.put_node(node(name, "pending"), is_new=True)
        assert (another("acknowledged"), another("reissued")) == (None, None)
        rotations.put_node(node("anna", "acknowledged"), is_new=False)
        assert (another("acknowledged"), another("reissued")) == (None, None)
        rotations.put_node(node("bert", "acknowledged"), is_new=False)
        assert (another("acknowledged"), another("reissued")) == ("bert", None)
        rotations.put_node(node("dora", "reissued"), is_new=True)
        assert (another("pending"), another("reissued")) == ("cara", "dora")
        rotations.put_node(node("cara", "reissued"), is_new=False)
        assert (another("pending"), another("acknowledged")) == (None, "bert")
        rotations.put_node(node("bert", "reissued"), is_new=False)
        assert (another("acknowledged"), another("reissued") in {"bert", "cara", "dora"}) == (None, True)
        transaction.log(event())

    store.write(unit)


def test_of_when_nodes_called_the_latest_is_kept(store: Store) -> None:
    # More than are asked for together.
    many = {f"n{number:03d}": 10 for number in range(300)}

    def note(seen: dict[str, int]) -> None:
        store.write(lambda transaction: transaction.rotations.note_contacts(seen))

    note(many)
    note({**many, "n000": 9, "n001": 11, "n299": 12, "new": 3})
    note({})

    contacts = store.read(lambda transaction: transaction.rotations.contacts([*many, "new", "never"]))
    assert contacts == {**many, "n001": 11, "n299": 12, "new": 3}
    # Every row goes with its digest.
    assert verify_store(store).rows == 301


def test_rows_that_are_written_over_together_are_found_as_they_are_then(store: Store) -> None:
    nodes = [RotationNode(rotation=1, node=name, step="pending", since=5) for name in ("anna", "bert", "cara")]

    def unit(transaction: Transaction) -> None:
        for node in nodes:
            transaction.rotations.put_node(node, is_new=True)
        assert transaction.rotations.another_at(1, "pending", than="anna") is not None
        assert set(transaction.find_among(rotation_nodes, "step", ["pending", "acknowledged"])) == {"pending"}
        moved = [{**asdict(node), "step": "acknowledged"} for node in nodes]
        transaction.update_all(rotation_nodes, moved)
        assert transaction.rotations.another_at(1, "pending", than="anna") is None
        assert set(transaction.find_among(rotation_nodes, "step", ["pending", "acknowledged"])) == {"acknowledged"}
        transaction.log(event())

    store.write(unit)
    found = store.read(lambda transaction: transaction.rotations.nodes(1))
    assert [*found] == [replace(node, step="acknowledged") for node in nodes]
    (entry,) = store.read(lambda transaction: [json.loads(each.data) for each in transaction.log_entries.since(0)])
    assert [change[1] for change in entry["state"]] == ["1/anna", "1/bert", "1/cara"] * 2
    assert verify_store(store).rows == 3


@pytest.mark.parametrize("how", ["one", "many"])
def test_what_is_not_there_cannot_be_written_over(store: Store, how: str) -> None:
    """A change that changed nothing would be counted, and an entry would tell of it."""
    anna, gone = (asdict(RotationNode(rotation=1, node=name, step="pending", since=5)) for name in ("anna", "gone"))

    def unit(transaction: Transaction) -> None:
        transaction.rotations.put_node(RotationNode(**anna), is_new=True)
        if how == "one":
            transaction.update(rotation_nodes, gone, step="acknowledged")
        else:
            transaction.update_all(rotation_nodes, [{**row, "step": "acknowledged"} for row in (anna, gone)])
        transaction.log(event())

    with pytest.raises(StoreCorrupt, match="rows of rotation_nodes"):
        store.write(unit)
    assert verify_store(store).rows == 0


def test_how_far_many_nodes_are_is_asked_for_together_also_of_those_just_written(store: Store) -> None:
    def node(name: str, step: str, rotation: int = 1) -> RotationNode:
        return RotationNode(rotation=rotation, node=name, step=step, since=5)

    def fill(transaction: Transaction) -> None:
        rotations = transaction.rotations
        for each in (node("anna", "pending"), node("bert", "pending"), node("anna", "converged", 2)):
            rotations.put_node(each, is_new=True)
        assert rotations.nodes_among(1, ["anna", "cara"]) == {"anna": node("anna", "pending")}
        rotations.put_node(node("cara", "pending"), is_new=True)
        rotations.put_node(node("anna", "acknowledged"), is_new=False)
        assert {*rotations.nodes_among(1, ["anna", "bert", "cara"])} == {"anna", "bert", "cara"}
        transaction.log(event())

    def check(transaction: Transaction) -> None:
        assert transaction.rotations.nodes_among(1, ["bert", "anna"]) == {
            "anna": node("anna", "acknowledged"),
            "bert": node("bert", "pending"),
        }
        assert transaction.rotations.nodes_among(2, ["bert", "anna"]) == {"anna": node("anna", "converged", 2)}
        assert transaction.rotations.nodes_among(3, ["anna"]) == {}
        assert transaction.rotations.nodes_among(1, []) == {}

    store.write(fill)
    store.read(check)


def test_those_unheard_of_for_longest_are_found_by_what_is_left_to_do(store: Store) -> None:
    steps = {"anna": "pending", "bert": "acknowledged", "cara": "converged", "dora": "pending", "emil": "pending"}

    def fill(transaction: Transaction) -> None:
        for node, step in steps.items():
            transaction.rotations.put_node(RotationNode(rotation=1, node=node, step=step, since=5), is_new=True)
        transaction.log(event())
        transaction.rotations.note_contacts({"anna": 30, "bert": 10, "cara": 1, "dora": 20, "other": 2})
        assert transaction.rotations.longest_unheard(1, ["pending"], 5) == ["emil", "dora", "anna"]

    def check(transaction: Transaction) -> None:
        rotations = transaction.rotations
        assert rotations.longest_unheard(1, ["pending", "acknowledged"], 3) == ["emil", "bert", "dora"]
        assert rotations.longest_unheard(2, ["pending"], 3) == []
        assert rotations.longest_unheard(1, [], 3) == []
        assert rotations.contacts(["anna", "emil", "other"]) == {"anna": 30, "other": 2}

    store.write(fill)
    store.read(check)
