"""Requests to join that are held, over their table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from swarmsec.errors import NotFound
from swarmsec.services.nodes.node_records import HeldNode, HeldState
from swarmsec.storage import tables

if TYPE_CHECKING:
    from swarmsec.storage.rows import Row
    from swarmsec.storage.transaction import Transaction


class HeldNodes:
    """Requests to join that wait for a person, or did."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def add(self, record: HeldNode) -> None:
        """Add a request."""
        self._transaction.insert(tables.held_nodes, **_values(record))

    def change(self, record: HeldNode) -> None:
        """Write what became of a request."""
        row = self._transaction.find(tables.held_nodes, request_id=record.request_id)
        if row is None:
            raise NotFound(f"no request {record.request_id}")
        self._transaction.update(tables.held_nodes, row, **_values(record))

    def by_public_key(self, spki_sha256: bytes) -> Sequence[HeldNode]:
        """The requests of a key, the oldest first."""
        rows = self._transaction.find_all(tables.held_nodes, spki_sha256=spki_sha256)
        return sorted(map(_record, rows), key=lambda held: held.requested)

    def by_node(self, node_id: str) -> Sequence[HeldNode]:
        """The requests under a name."""
        return [_record(row) for row in self._transaction.find_all(tables.held_nodes, node_id=node_id)]

    def all(self) -> Sequence[HeldNode]:
        """Every request ever made."""
        return [_record(row) for row in self._transaction.select(tables.held_nodes)]


def _values(record: HeldNode) -> dict[str, Any]:
    return {**asdict(record), "state": record.state.value}


def _record(row: Row) -> HeldNode:
    values = {name: row[name] for name in HeldNode.__slots__}
    return HeldNode(**{**values, "state": HeldState(row["state"])})
