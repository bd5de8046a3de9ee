"""Reading and writing rows so that a changed byte is found.

A row's digest is SHA-256 over the MessagePack array of its table's name and every other column, which keeps kinds and
lengths, so that no two different rows share one. Statements are compiled once per table and dialect: on the way of a
durable write, building them anew costs more than the database does.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import Connection, Dialect, Table, and_, bindparam, delete, insert, select, update
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement

from swarmsec.errors import UsageProblem
from swarmsec.storage.database import driver_of
from swarmsec.storage.errors import StoreCorrupt

Value = int | str | bytes
Row = Mapping[str, Any]
"""A verified row: column names to values of the column's kind."""


def digest_of(table: Table, values: Row) -> bytes:
    """SHA-256 over a row's columns except ``digest``, with their kinds and lengths.

    Raises:
        StoreCorrupt: a value is of no kind that we write.
        UsageProblem: a text that not every database keeps.
    """
    table_name, names = _shape(table)
    return _digest(table_name, [values[name] for name in names])


def _digest(table_name: str, content: list[Any]) -> bytes:
    try:
        encoded = msgspec.msgpack.encode([table_name, *content])
        if "\0" in "".join([value for value in content if type(value) is str]):
            raise ValueError
    except ValueError:
        # PostgreSQL keeps no NUL and neither database keeps lone surrogates; both are refused before they get there.
        raise UsageProblem("expected text without NUL and lone surrogates") from None
    except (TypeError, OverflowError) as error:
        raise StoreCorrupt(f"expected integers, texts and bytes in a row: {error}") from None
    return hashlib.sha256(encoded).digest()


@lru_cache(maxsize=64)
def _shape(table: Table) -> tuple[str, tuple[str, ...]]:
    """The name and the columns that a digest covers, as plain texts."""
    return str(table.name), tuple(str(column.name) for column in table.columns if column.name != "digest")


@lru_cache(maxsize=64)
def key_columns(table: Table) -> tuple[str, ...]:
    """The names of a table's primary key."""
    return tuple(column.name for column in table.primary_key.columns)


def name_of(table: Table) -> str:
    """The table's name as a plain text."""
    return _shape(table)[0]


def key_text(table: Table, values: Row) -> str:
    """A row's key as log entries name it: its parts joined by a slash, percent-encoded where needed."""
    return "/".join([_key_part(values[name]) for name in key_columns(table)])


def _key_part(value: object) -> str:
    return str(value) if type(value) is int else str(value).replace("%", "%25").replace("/", "%2F")


class Statement:
    """A statement compiled for one dialect, run through the driver without building it again."""

    __slots__ = ("_names", "_positional", "text")

    def __init__(self, compiled: SQLCompiler) -> None:
        self.text = str(compiled)
        self._positional = compiled.positional
        self._names = tuple(compiled.positiontup or ())

    def bind(self, values: Row) -> Any:
        """Arrange values the way the driver wants them."""
        return tuple(values[name] for name in self._names) if self._positional else values


@lru_cache(maxsize=512)
def _compiled(operation: str, table: Table, dialect: Dialect) -> Statement:
    key = and_(*(table.c[name] == bindparam(f"k_{name}") for name in key_columns(table)))
    names = [column.name for column in table.columns]
    match operation:
        case "insert":
            statement: Any = insert(table).values({name: bindparam(name) for name in names})
        case "update":
            others = (name for name in names if name not in key_columns(table))
            statement = update(table).where(key).values({name: bindparam(name) for name in others})
        case "delete":
            statement = delete(table).where(key)
        case _:
            raise ValueError(f"unknown operation {operation}")
    return Statement(statement.compile(dialect=dialect))


def _run(connection: Connection, operation: str, table: Table, values: Row) -> None:
    # Straight to the driver: building a result for a statement that has none costs more than the statement.
    statement = _compiled(operation, table, connection.dialect)
    driver_of(connection).execute(statement.text, statement.bind(values))


class InsertBuffer:
    """New rows on their way into the tables: written many at a time, before anything looks at the tables.

    Args:
        connection: of the transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._driver = driver_of(connection)
        self._dialect = connection.dialect
        self._is_positional = bool(connection.dialect.positional)
        self._rows: dict[Table, list[Any]] = {}

    def add(self, table: Table, values: Row) -> bytes:
        """Take a row and return its digest.

        Raises:
            UsageProblem: a text that not every database keeps.
        """
        table_name, names = _shape(table)
        content = [values[name] for name in names]
        digest = _digest(table_name, content)
        content.append(digest)
        rows = self._rows.get(table)
        if rows is None:
            rows = self._rows[table] = []
        # The digest is the last column of every table that has one.
        rows.append(content if self._is_positional else dict(zip((*names, "digest"), content, strict=True)))
        return digest

    def flush(self) -> None:
        """Write the rows; what the database says of one of them is raised here."""
        for table, rows in self._rows.items():
            self.write(table, rows)
        self._rows.clear()

    def write(self, table: Table, bound: Sequence[Any]) -> None:
        """Write rows whose values are in the driver's form already."""
        text = _compiled("insert", table, self._dialect).text
        if len(bound) == 1:
            self._driver.execute(text, bound[0])
            return
        cursor = self._driver.cursor()
        cursor.executemany(text, bound)
        cursor.close()

    def bind(self, table: Table, values: Row) -> Any:
        """A row of a table without a digest, in the driver's form."""
        return _compiled("insert", table, self._dialect).bind(values)

    def forget(self) -> None:
        """Drop the rows unwritten."""
        self._rows.clear()


def update_row(connection: Connection, table: Table, row: Row) -> bytes:
    """Write a whole row over the one with the same key and return its digest.

    Raises:
        UsageProblem: a text that not every database keeps.
    """
    digest = digest_of(table, row)
    key = {f"k_{name}": row[name] for name in key_columns(table)}
    _run(connection, "update", table, {**row, "digest": digest, **key})
    return digest


def delete_row(connection: Connection, table: Table, row: Row) -> None:
    """Delete the row with this key."""
    key = {f"k_{name}": row[name] for name in key_columns(table)}
    _run(connection, "delete", table, key)


@lru_cache(maxsize=128)
def _lookup(table: Table, names: tuple[str, ...], dialect: Dialect) -> tuple[Statement, tuple[str, ...]]:
    conditions = [table.c[name] == bindparam(name) for name in names]
    statement = select(table).where(*conditions).order_by(*table.primary_key.columns)
    return Statement(statement.compile(dialect=dialect)), tuple(str(column.name) for column in table.columns)


def find_rows(connection: Connection, table: Table, equals: Row) -> list[Row]:
    """Read the rows with these values, in key order, each verified.

    Raises:
        StoreCorrupt: a row does not match its digest.
    """
    statement, names = _lookup(table, tuple(equals), connection.dialect)
    found = driver_of(connection).execute(statement.text, statement.bind(equals)).fetchall()
    return [verified(table, dict(zip(names, row, strict=True))) for row in found]


def select_rows(
    connection: Connection, table: Table, *conditions: ColumnElement[bool], limit: int | None = None
) -> Iterator[Row]:
    """Read rows in key order, each verified.

    Raises:
        StoreCorrupt: a row does not match its digest.
    """
    statement = select(table).where(*conditions).order_by(*table.primary_key.columns)
    if limit is not None:
        statement = statement.limit(limit)
    for row in connection.execute(statement).mappings():
        yield verified(table, dict(row))


def verified(table: Table, row: dict[str, Any]) -> Row:
    """Check a row against its digest.

    Raises:
        StoreCorrupt: it does not match.
    """
    stored = row["digest"]
    if not isinstance(stored, bytes) or not hmac.compare_digest(stored, digest_of(table, row)):
        raise StoreCorrupt(
            f"table {table.name}: a row does not match its digest",
            hint="restore the newest backup with: swarmsec restore FILE",
        )
    return row
