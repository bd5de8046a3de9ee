"""Filling an empty database from a backup's rows, inside the caller's transaction.

The tables are made as they were when the backup was written and moved forward afterwards, so that an old backup meets
the columns it knows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, column, func, insert, inspect, select, table
from sqlalchemy.exc import DataError, IntegrityError

from swarmsec.errors import AlreadyExists
from swarmsec.services.homes.backup_archive import BackupDamaged, Header, TableShape, Value, parse_row
from swarmsec.storage.schema import KNOWN, migrate, read_revisions
from swarmsec.storage.tables import audit_entries

_BATCH: Final = 500


def make_tables(connection: Connection, header: Header) -> None:
    """Make the tables of a backup, empty.

    Raises:
        BackupDamaged: it was written by a later version, or its tables are not those of its version.
        AlreadyExists: the database is in use, or of a later version than the backup.
    """
    unknown = header.schema - KNOWN
    if unknown or not header.schema:
        raise BackupDamaged(f"expected a backup whose schema this version knows, got {', '.join(sorted(unknown))}")
    present = read_revisions(connection)
    is_empty = present == header.schema and not _entries(connection) if present else not _tables(connection)
    if not is_empty:
        raise AlreadyExists("expected an empty database", hint="name another --home or --database")
    migrate(connection, sorted(header.schema))
    if {name: set(shape.columns) for name, shape in header.tables.items()} != _tables(connection):
        raise BackupDamaged("expected the tables of the backup's schema, got others")


def _entries(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(audit_entries)).scalar_one())


def _tables(connection: Connection) -> dict[str, set[str]]:
    """The database's own tables with their columns."""
    inspector = inspect(connection)
    names = set(inspector.get_table_names()) - {"alembic_version"}
    return {name: {item["name"] for item in inspector.get_columns(name)} for name in names}


class Loader:
    """Takes a backup's lines after the header and inserts their rows.

    Args:
        connection: its transaction is the caller's.
        tables: from the header; they exist and are empty.
    """

    def __init__(self, connection: Connection, tables: Mapping[str, TableShape]) -> None:
        self._connection = connection
        self._tables = tables
        self._name = ""
        self._batch: list[dict[str, Value]] = []
        self._loaded: Counter[str] = Counter()

    def take(self, line: bytes) -> None:
        """Take one row's line.

        Raises:
            BackupDamaged: not a row of one of the tables.
        """
        name, row = parse_row(line, self._tables)
        if name != self._name or len(self._batch) >= _BATCH:
            self._insert()
            self._name = name
        self._batch.append(row)

    def finish(self) -> None:
        """Insert what is left, and hold the rows against the header's counts.

        Raises:
            BackupDamaged: a table has more or fewer.
        """
        self._insert()
        for name, shape in self._tables.items():
            if self._loaded[name] != shape.rows:
                raise BackupDamaged(f"expected {shape.rows} rows of {name} in the backup, got {self._loaded[name]}")

    def _insert(self) -> None:
        if self._batch:
            target = table(self._name, *(column(name) for name in self._tables[self._name].columns))
            try:
                self._connection.execute(insert(target), self._batch)
            except (IntegrityError, DataError):
                raise BackupDamaged(f"expected rows of {self._name} in the backup that fit the table") from None
            self._loaded[self._name] += len(self._batch)
            self._batch = []
