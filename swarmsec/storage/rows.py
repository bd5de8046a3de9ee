"""Reading and writing rows so that a changed byte is found.

A row's digest covers its table's name, then every other column's kind, length and bytes, so that no two different
rows share one. Statements are compiled once per table and dialect: on the way of a durable write, building them anew
costs more than the database does.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Dialect, Table, and_, bindparam, delete, insert, select, update
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement

from swarmsec.errors import UsageProblem
from swarmsec.storage.database import driver_of
from swarmsec.storage.errors import StoreCorrupt

Value = int | str | bytes
Row = Mapping[str, Any]
"""A verified row: column names to values of the column's kind."""

_KINDS = {bytes: ord("b"), str: ord("s"), int: ord("i")}


def digest_of(table: Table, values: Row) -> bytes:
    """SHA-256 over a row's columns except ``digest``, framed by kind and length.

    Raises:
        StoreCorrupt: a value is of no kind that we write.
        UsageProblem: a text that not every database keeps.
    """
    named = [values[name] for name in _content_columns(table)]
    try:
        kinds = bytes(map(_KINDS.__getitem__, map(type, named)))
    except KeyError as error:
        raise StoreCorrupt(f"expected an integer, text or bytes in a row, got {error}") from None
    encoded = [
        value if type(value) is bytes else _encoded(value) if type(value) is str else b"%d" % value for value in named
    ]
    lengths = struct.pack(f">{len(encoded)}I", *map(len, encoded))
    return hashlib.sha256(b"".join((table.name.encode(), b"\0", kinds, lengths, *encoded))).digest()


def _encoded(text: str) -> bytes:
    # PostgreSQL keeps no NUL and neither database keeps lone surrogates; both are refused before they get there.
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        encoded = b"\0"
    if b"\0" in encoded:
        raise UsageProblem("expected text without NUL and lone surrogates")
    return encoded


@lru_cache(maxsize=64)
def _content_columns(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns if column.name != "digest")


@lru_cache(maxsize=64)
def key_columns(table: Table) -> tuple[str, ...]:
    """The names of a table's primary key."""
    return tuple(column.name for column in table.primary_key.columns)


def key_text(table: Table, values: Row) -> str:
    """A row's key as log entries name it: its parts joined by a slash, percent-encoded where needed."""
    return "/".join(str(values[name]).replace("%", "%25").replace("/", "%2F") for name in key_columns(table))


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


def insert_row(connection: Connection, table: Table, values: Row) -> bytes:
    """Insert a row with its digest and return the digest.

    Raises:
        UsageProblem: a text that not every database keeps.
    """
    digest = digest_of(table, values)
    _run(connection, "insert", table, {**values, "digest": digest})
    return digest


def insert_plain(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows of a table without a digest column, many in one call."""
    statement = _compiled("insert", table, connection.dialect)
    cursor = driver_of(connection).cursor()
    cursor.executemany(statement.text, [statement.bind(row) for row in rows])
    cursor.close()


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
