"""Root rotations over tables: ``services.rotation.rotation_ports.RotationRecords``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from swarmsec.errors import NotFound
from swarmsec.services.rotation.rotation_records import CrossCertificate, RetiredList, RotationNode, RotationRecord
from swarmsec.storage import rotationtables as tables

if TYPE_CHECKING:
    from swarmsec.storage.rows import Row
    from swarmsec.storage.transaction import Transaction


def _values(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "digest"}


class Rotations:
    """Rotations, their nodes, and what comes of them."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def newest(self) -> RotationRecord | None:
        """The rotation begun last, whether or not it is over."""
        newest = self._transaction.connection.execute(select(func.max(tables.rotations.c.id))).scalar()
        row = None if newest is None else self._transaction.find(tables.rotations, id=int(newest))
        return None if row is None else RotationRecord(**_values(row))

    def all(self) -> Sequence[RotationRecord]:
        """Every rotation, oldest first."""
        return [RotationRecord(**_values(row)) for row in self._transaction.select(tables.rotations)]

    def add(self, record: RotationRecord) -> None:
        """Add a rotation."""
        self._transaction.insert(tables.rotations, **asdict(record))

    def change(self, record: RotationRecord) -> None:
        """Write a rotation over the one of the same number."""
        row = self._transaction.find(tables.rotations, id=record.id)
        if row is None:
            raise NotFound(f"no rotation {record.id}")
        self._transaction.update(tables.rotations, row, **asdict(record))

    def node(self, rotation: int, node: str) -> RotationNode | None:
        """How far a node is, or None."""
        row = self._transaction.find(tables.rotation_nodes, rotation=rotation, node=node)
        return None if row is None else RotationNode(**_values(row))

    def nodes_among(self, rotation: int, nodes: Collection[str]) -> Mapping[str, RotationNode]:
        """How far those of these nodes are that are part of it."""
        found = self._transaction.find_among(tables.rotation_nodes, "node", list(nodes), rotation=rotation)
        return {node: RotationNode(**_values(row)) for node, rows in found.items() for row in rows}

    def nodes(self, rotation: int) -> Sequence[RotationNode]:
        """Every node of a rotation, by id."""
        table = tables.rotation_nodes
        rows = self._transaction.select(table, table.c.rotation == rotation)
        return [RotationNode(**_values(row)) for row in rows]

    def names(self, rotation: int) -> Sequence[str]:
        """The ids of a rotation's nodes alone, in no order."""
        table = tables.rotation_nodes
        statement = select(table.c.node).where(table.c.rotation == rotation)
        return [str(node) for (node,) in self._transaction.connection.execute(statement)]

    def another_at(self, rotation: int, step: str, *, than: str) -> RotationNode | None:
        """Any node at a step but the one named, or None."""
        found = self._transaction.find_some(2, tables.rotation_nodes, rotation=rotation, step=step)
        row = next((each for each in found if each["node"] != than), None)
        return None if row is None else RotationNode(**_values(row))

    def counts(self, rotation: int) -> Mapping[str, int]:
        """How many nodes there are at each step; steps without one are absent."""
        table = tables.rotation_nodes
        statement = select(table.c.step, func.count()).where(table.c.rotation == rotation).group_by(table.c.step)
        return {str(step): int(count) for step, count in self._transaction.connection.execute(statement)}

    def put_node(self, node: RotationNode, *, is_new: bool) -> None:
        """Write how far a node is.

        Args:
            is_new: whether it was no part of the rotation, as the transaction has it.
        """
        row = {"rotation": node.rotation, "node": node.node, "step": node.step, "since": node.since}
        if is_new:
            self._transaction.insert(tables.rotation_nodes, **row)
        else:
            self._transaction.update(tables.rotation_nodes, row)

    def add_cross(self, record: CrossCertificate) -> None:
        """Add a cross-certificate."""
        self._transaction.insert(tables.cross_certificates, **asdict(record))

    def change_cross(self, record: CrossCertificate) -> None:
        """Write a cross-certificate over the one of the same digest."""
        row = self._transaction.find(tables.cross_certificates, sha256=record.sha256)
        if row is None:
            raise NotFound(f"no cross-certificate {record.sha256}")
        self._transaction.update(tables.cross_certificates, row, **asdict(record))

    def cross(self, sha256: str) -> CrossCertificate | None:
        """The cross-certificate with this SHA-256, or None."""
        row = self._transaction.find(tables.cross_certificates, sha256=sha256)
        return None if row is None else CrossCertificate(**_values(row))

    def crosses(self) -> Sequence[CrossCertificate]:
        """Every cross-certificate."""
        return [CrossCertificate(**_values(row)) for row in self._transaction.select(tables.cross_certificates)]

    def add_list(self, record: RetiredList) -> None:
        """Keep the last list of a root."""
        self._transaction.insert(tables.retired_lists, **asdict(record))

    def retired_list(self, generation: int) -> RetiredList | None:
        """The last list of a root, or None."""
        row = self._transaction.find(tables.retired_lists, generation=generation)
        return None if row is None else RetiredList(**_values(row))

    def note_contacts(self, seen: Mapping[str, int]) -> None:
        """Remember when nodes called last."""
        table = tables.node_contacts
        known = self._transaction.find_among(table, "node", list(seen))
        later = []
        for node, moment in seen.items():
            if node not in known:
                self._transaction.insert(table, node=node, last_seen=moment)
            elif known[node][0]["last_seen"] < moment:
                later.append({"node": node, "last_seen": moment})
        self._transaction.update_all(table, later)

    def contacts(self, nodes: Collection[str]) -> Mapping[str, int]:
        """When each of these nodes called last; those that never did are absent."""
        found = self._transaction.find_among(tables.node_contacts, "node", sorted(nodes))
        return {str(node): int(row["last_seen"]) for node, (row,) in found.items()}

    def longest_unheard(self, rotation: int, steps: Collection[str], count: int) -> Sequence[str]:
        """Who at these steps was not heard of for longest, at most so many; those never heard of come first."""
        nodes, contacts = tables.rotation_nodes, tables.node_contacts
        statement = (
            select(nodes.c.node)
            .outerjoin(contacts, contacts.c.node == nodes.c.node)
            .where(nodes.c.rotation == rotation, nodes.c.step.in_(sorted(steps)))
            .order_by(func.coalesce(contacts.c.last_seen, 0), nodes.c.node)
            .limit(count)
        )
        return [str(node) for (node,) in self._transaction.connection.execute(statement)]
