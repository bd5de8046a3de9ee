"""Reading and writing rows so that a changed byte is found.

A row's digest covers its table's name and every other column with kind and length, so that no two different rows
share one. Statements are compiled once per table and dialect: on the way of a durable write, building them anew
costs more than the database does.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Dialect, Table, and_, bindparam, delete, insert, select, update
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement

from swarmsec.errors import UsageProblem
from swarmsec.storage.errors import StoreCorrupt

Value = int | str | bytes
Row = Mapping[str, Any]
"""A verified row: column names to values of the column's kind."""

_LENGTH = struct.Struct(">cI")
_SURROGATE = re.compile("[\ud800-\udfff]")


def digest_of(table: Table, values: Row) -> bytes:
    """SHA-256 over a row's columns except ``digest``, framed by kind and length.

    Raises:
        StoreCorrupt: a value is of no kind that we write.
    """
    parts = [table.name.encode()]
    for name in _content_columns(table):
        parts.append(_framed(values[name]))
    return hashlib.sha256(b"".join(parts)).digest()


def _framed(value: object) -> bytes:
    match value:
        case bytes():
            return _LENGTH.pack(b"b", len(value)) + value
        case str():
            encoded = value.encode("utf-8", "surrogatepass")
            return _LENGTH.pack(b"s", len(encoded)) + encoded
        case int() if not isinstance(value, bool):
            encoded = str(value).encode()
            return _LENGTH.pack(b"i", len(encoded)) + encoded
        case _:
            raise StoreCorrupt(f"expected an integer, text or bytes in a row, got {type(value).__name__}")


def _verify_texts(values: Row) -> None:
    # PostgreSQL keeps no NUL and neither database keeps lone surrogates; both are refused before they get there.
    for value in values.values():
        if isinstance(value, str) and ("\0" in value or _SURROGATE.search(value)):
            raise UsageProblem("expected text without NUL and lone surrogates")


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
def _compiled(operation: str, table: Table, names: tuple[str, ...], dialect: Dialect) -> Statement:
    key = and_(*(table.c[name] == bindparam(f"k_{name}") for name in key_columns(table)))
    match operation:
        case "insert":
            statement: Any = insert(table).values({name: bindparam(name) for name in names})
        case "update":
            statement = update(table).where(key).values({name: bindparam(name) for name in names})
        case "delete":
            statement = delete(table).where(key)
        case _:
            raise ValueError(f"unknown operation {operation}")
    compiled = statement.compile(dialect=dialect)
    return Statement(compiled)


def insert_row(connection: Connection, table: Table, values: Row) -> bytes:
    """Insert a row with its digest and return the digest.

    Raises:
        UsageProblem: a text that not every database keeps.
    """
    _verify_texts(values)
    digest = digest_of(table, values)
    names = (*_content_columns(table), "digest")
    statement = _compiled("insert", table, names, connection.dialect)
    connection.exec_driver_sql(statement.text, statement.bind({**values, "digest": digest}))
    return digest


def insert_plain(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows of a table without a digest column, many in one call."""
    names = tuple(column.name for column in table.columns)
    statement = _compiled("insert", table, names, connection.dialect)
    connection.exec_driver_sql(statement.text, [statement.bind(row) for row in rows])


def update_row(connection: Connection, table: Table, row: Row) -> bytes:
    """Write a whole row over the one with the same key and return its digest.

    Raises:
        UsageProblem: a text that not every database keeps.
    """
    _verify_texts(row)
    digest = digest_of(table, row)
    key = {f"k_{name}": row[name] for name in key_columns(table)}
    names = tuple(name for name in (*_content_columns(table), "digest") if name not in key_columns(table))
    statement = _compiled("update", table, names, connection.dialect)
    connection.exec_driver_sql(statement.text, statement.bind({**row, "digest": digest, **key}))
    return digest


def delete_row(connection: Connection, table: Table, row: Row) -> None:
    """Delete the row with this key."""
    key = {f"k_{name}": row[name] for name in key_columns(table)}
    statement = _compiled("delete", table, (), connection.dialect)
    connection.exec_driver_sql(statement.text, statement.bind(key))


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
