"""Seals, key terms and sealed records over tables; ``keys`` alone understands what is in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from swarmsec.services.records import KeyTermRow, SealedRow, SealRow
from swarmsec.storage import tables
from swarmsec.storage.rows import Row

if TYPE_CHECKING:
    from swarmsec.storage.transaction import Transaction


class Sealed:
    """Sealed records by name."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def get(self, name: str) -> SealedRow | None:
        """The record, or None."""
        return self._transaction.record_once(tables.sealed_records, _sealed, name=name)

    def put(self, row: SealedRow) -> None:
        """Write a record over the one of the same name."""
        present = self._transaction.find(tables.sealed_records, name=row.name)
        if present is None:
            self._transaction.insert(tables.sealed_records, **asdict(row))
        else:
            self._transaction.update(tables.sealed_records, present, **asdict(row))

    def remove(self, name: str) -> None:
        """Erase a record; nothing happens where there is none."""
        row = self._transaction.find(tables.sealed_records, name=name)
        if row is not None:
            self._transaction.delete(tables.sealed_records, row)

    def not_under(self, term: int, limit: int, after: str = "") -> Sequence[SealedRow]:
        """At most ``limit`` records whose key is wrapped under another term, by name, beginning after a name."""
        table = tables.sealed_records
        rows = self._transaction.select(table, table.c.name > after, table.c.term != term, limit=limit)
        return [_sealed(row) for row in rows]

    def count_under(self, term: int) -> int:
        """How many records need this term."""
        table = tables.sealed_records
        statement = select(func.count()).select_from(table).where(table.c.term == term)
        return int(self._transaction.connection.execute(statement).scalar_one())


class KeyTerms:
    """Terms of the key ring, oldest first."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def all(self) -> Sequence[KeyTermRow]:
        """Every term."""
        return self._transaction.records_once(tables.key_terms, _term)

    def add(self, row: KeyTermRow) -> None:
        """Add a term."""
        self._transaction.insert(tables.key_terms, **asdict(row))

    def change(self, row: KeyTermRow) -> None:
        """Write a term over the one of the same number."""
        present = self._transaction.find(tables.key_terms, term=row.term)
        if present is not None:
            self._transaction.update(tables.key_terms, present, **asdict(row))


class Seals:
    """Seals around the root key."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def all(self) -> Sequence[SealRow]:
        """Every seal."""
        rows = self._transaction.select(tables.seals)
        return [SealRow(**{field: row[field] for field in SealRow.__slots__}) for row in rows]

    def add(self, row: SealRow) -> None:
        """Add a seal."""
        self._transaction.insert(tables.seals, **asdict(row))

    def remove(self, seal_id: str) -> None:
        """Remove a seal."""
        row = self._transaction.find(tables.seals, seal_id=seal_id)
        if row is not None:
            self._transaction.delete(tables.seals, row)


def _sealed(row: Row) -> SealedRow:
    return SealedRow(**{field: row[field] for field in SealedRow.__slots__})


def _term(row: Row) -> KeyTermRow:
    return KeyTermRow(**{field: row[field] for field in KeyTermRow.__slots__})
