"""Records beside the log's entries: checkpoints, witnesses, and the tree itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, func, select

from swarmsec.audit.proofs import MAX_SIZE
from swarmsec.services.log.log_records import CheckpointRow, WitnessRow
from swarmsec.services.log.prune_records import RowDigests
from swarmsec.storage.log import read_head
from swarmsec.storage.logtables import audit_checkpoints, audit_witnesses
from swarmsec.storage.logtree import LogTree
from swarmsec.storage.prunedrows import write_pruned_rows
from swarmsec.storage.rows import Row, fetch_rows
from swarmsec.storage.statements import fetch_all

if TYPE_CHECKING:
    from swarmsec.storage.transaction import Transaction

_AT_ONCE: Final = 16
_LARGEST: Final = select(func.max(audit_checkpoints.c.size)).where(audit_checkpoints.c.origin == bindparam("origin"))
_FROM_NEWEST: Final = (
    select(audit_checkpoints)
    .where(
        audit_checkpoints.c.origin == bindparam("origin"),
        audit_checkpoints.c.size >= bindparam("at_least"),
        audit_checkpoints.c.size < bindparam("below"),
    )
    .order_by(audit_checkpoints.c.size.desc())
    .limit(_AT_ONCE)
)


class Checkpoints:
    """Implements ``services.log.log_ports.CheckpointRecords``."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def newest(self, origin: str) -> CheckpointRow | None:
        """The one of the most entries."""
        ((found,),) = fetch_all(self._transaction.connection, _LARGEST, {"origin": origin})
        return None if found is None else self.get(origin, int(found))

    def get(self, origin: str, size: int) -> CheckpointRow | None:
        """The one of exactly so many entries."""
        row = self._transaction.find(audit_checkpoints, origin=origin, size=size)
        return None if row is None else _checkpoint(row)

    def all(self) -> Sequence[CheckpointRow]:
        """Every one, by origin and size."""
        return [_checkpoint(row) for row in self._transaction.select(audit_checkpoints)]

    def newest_first(self, origin: str, at_least: int = 0) -> Iterator[CheckpointRow]:
        """Those of at least so many entries, from the newest one back, read as they are asked for."""
        connection, below = self._transaction.connection, MAX_SIZE
        while True:
            values = {"origin": origin, "at_least": at_least, "below": below}
            found = fetch_rows(connection, audit_checkpoints, _FROM_NEWEST, values)
            yield from map(_checkpoint, found)
            if len(found) < _AT_ONCE:
                return
            below = int(found[-1]["size"])

    def put(self, row: CheckpointRow) -> None:
        """Keep one, over an earlier one of the same size."""
        values = {"origin": row.origin, "size": row.size, "note": row.note, "created": row.created}
        if self._transaction.find(audit_checkpoints, origin=row.origin, size=row.size) is None:
            self._transaction.insert(audit_checkpoints, **values)
        else:
            self._transaction.update(audit_checkpoints, values)

    def remove(self, row: CheckpointRow) -> None:
        """Drop one."""
        self._transaction.delete(audit_checkpoints, {"origin": row.origin, "size": row.size})


class Witnesses:
    """Implements ``services.log.log_ports.WitnessRecords``."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def all(self) -> Sequence[WitnessRow]:
        """Every one, by name."""
        return [_witness(row) for row in self._transaction.select(audit_witnesses)]

    def add(self, row: WitnessRow) -> None:
        """Keep a new one."""
        self._transaction.insert(audit_witnesses, name=row.name, key=row.key, url=row.url, added=row.added)

    def remove(self, row: WitnessRow) -> None:
        """Drop one."""
        values = {"name": row.name, "key": row.key, "url": row.url, "added": row.added}
        self._transaction.delete(audit_witnesses, values)


class PrunedRows:
    """Implements ``services.log.prune_log.PrunedRows``."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def replace(self, rows: RowDigests) -> None:
        """Keep a summary over an earlier one."""
        write_pruned_rows(self._transaction.connection, rows)


class Tree:
    """Implements ``services.log.log_ports.LogTrees``."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def at(self, size: int) -> LogTree:
        """The tree of the first ``size`` entries."""
        return LogTree(self._transaction.connection, size)

    def size(self) -> int:
        """How many entries there are now."""
        return read_head(self._transaction.connection).size


def _checkpoint(row: Row) -> CheckpointRow:
    values: dict[str, Any] = {name: row[name] for name in ("origin", "size", "note", "created")}
    return CheckpointRow(**values)


def _witness(row: Row) -> WitnessRow:
    values: dict[str, Any] = {name: row[name] for name in ("name", "key", "url", "added")}
    return WitnessRow(**values)
