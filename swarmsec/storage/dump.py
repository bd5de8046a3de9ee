"""The whole database as lines, from one snapshot, a batch of rows in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from sqlalchemy import BigInteger, Column, Connection, LargeBinary, Table, Text, func, select

from swarmsec.services.homes.backup_archive import ColumnKind, TableShape, encode_row
from swarmsec.storage.rows import verified
from swarmsec.storage.tables import metadata

_BATCH: Final = 500
_KINDS: Final = {Text: ColumnKind.TEXT, BigInteger: ColumnKind.INTEGER, LargeBinary: ColumnKind.BYTES}


def table_shapes(connection: Connection) -> Mapping[str, TableShape]:
    """Every table's columns and how many rows it has."""
    return {name: _shape(connection, table) for name, table in metadata.tables.items()}


def dump_rows(connection: Connection) -> Iterator[bytes]:
    """Every row of every table as a line of a backup, tables in the order of ``table_shapes``, rows by key.

    Raises:
        StoreCorrupt: a row does not match its digest.
    """
    for table in metadata.tables.values():
        statement = select(table).order_by(*table.primary_key.columns)
        has_digest = "digest" in table.columns
        for row in connection.execution_options(yield_per=_BATCH).execute(statement):
            if has_digest:
                verified(table, row)
            yield encode_row(table.name, list(row))


def _shape(connection: Connection, table: Table) -> TableShape:
    rows = connection.execute(select(func.count()).select_from(table)).scalar_one()
    return TableShape(columns={column.name: kind_of(column) for column in table.columns}, rows=int(rows))


def kind_of(column: Column[object]) -> ColumnKind:
    """What a column holds."""
    return _KINDS[type(column.type)]
