"""What a rotation of the root asks of the store, on SQLite and on PostgreSQL by the same tests."""

from __future__ import annotations

from swarmsec.services.ports import Transaction
from swarmsec.services.rotation.rotation_records import RotationNode
from swarmsec.storage.store import Store
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
