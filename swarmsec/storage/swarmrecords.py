"""Evicted nodes over their table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from swarmsec.storage.rows import Row
from swarmsec.storage.swarmtables import swarm_evictions

if TYPE_CHECKING:
    from swarmsec.services.swarm.swarm_records import Eviction
    from swarmsec.storage.transaction import Transaction


class Evictions:
    """Nodes by id."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def get(self, node_id: str) -> Eviction | None:
        """The node's eviction, or None."""
        if self._transaction.is_empty(swarm_evictions):
            return None
        row = self._transaction.find(swarm_evictions, node_id=node_id)
        return None if row is None else _eviction(row)

    def among(self, node_ids: Sequence[str]) -> Mapping[str, Eviction]:
        """The evictions that there are of these nodes."""
        if self._transaction.is_empty(swarm_evictions):
            return {}
        found = self._transaction.find_among(swarm_evictions, "node_id", node_ids)
        return {node_id: _eviction(row) for node_id, rows in found.items() for row in rows}

    def add(self, eviction: Eviction) -> None:
        """Add a node that is not evicted yet."""
        self._transaction.insert(swarm_evictions, **asdict(eviction))

    def all(self) -> Sequence[Eviction]:
        """Every evicted node."""
        return [_eviction(row) for row in self._transaction.select(swarm_evictions)]


def _eviction(row: Row) -> Eviction:
    # Beside it lies everything that is known of a Swarm; few homes have an eviction.
    from swarmsec.services.swarm.swarm_records import Eviction

    return Eviction(**{field: row[field] for field in Eviction.__slots__})
