"""Reading and writing rows so that a changed byte is found.

A row's digest is SHA-256 over the MessagePack array of its table's name and every other column, which keeps kinds and
lengths, so that no two different rows share one.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from operator import itemgetter
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Delete, Select, Table, Text, Update, and_, bindparam, delete, select, update
from sqlalchemy.sql.elements import ColumnElement

from swarmsec.errors import UsageProblem
from swarmsec.storage.database import driver_of
from swarmsec.storage.errors import StoreCorrupt
from swarmsec.storage.statements import compiled, fetch_all

Value = int | str | bytes
Row = Mapping[str, Any]
"""A verified row: column names to values of the column's kind."""


def digest_of(table: Table, values: Row) -> bytes:
    """SHA-256 over a row's columns except ``digest``, with their kinds and lengths.

    Raises:
        StoreCorrupt: a value is of no kind that we write.
        UsageProblem: a text that not every database keeps.
    """
    shape = shape_of(table)
    return content_digest(shape, [values[name] for name in shape.columns])


_encode: Final = msgspec.msgpack.Encoder().encode


def content_digest(shape: Shape, content: Sequence[Any]) -> bytes:
    """``digest_of`` a row whose columns, but for the digest, are given in the table's order."""
    try:
        encoded = _encode([shape.name, *content])
        if "\0" in "".join(shape.texts(content)):
            raise ValueError
    except ValueError:
        # PostgreSQL keeps no NUL and neither database keeps lone surrogates; both are refused before they get there.
        raise UsageProblem("expected text without NUL and lone surrogates") from None
    except (TypeError, OverflowError) as error:
        raise StoreCorrupt(f"expected integers, texts and bytes in a row: {error}") from None
    return sha256(encoded).digest()


@dataclass(frozen=True, slots=True)
class Shape:
    """What the way of a row needs to know of its table, as plain values."""

    name: str
    columns: tuple[str, ...]
    """Those that the digest covers, which are all others, in the table's order."""
    key: tuple[int, ...]
    """The places of the primary key's parts among ``columns``."""
    texts: Callable[[Sequence[Any]], Iterable[str]]
    """Takes the texts out of a row's content."""
    is_logged: bool

    def key_text(self, content: Sequence[Any]) -> str:
        """A row's key as log entries name it: its parts joined by a slash, percent-encoded where needed."""
        if len(self.key) == 1:
            return _key_part(content[self.key[0]])
        return "/".join([_key_part(content[place]) for place in self.key])


@lru_cache(maxsize=64)
def shape_of(table: Table) -> Shape:
    """The shape of a table that has a digest."""
    columns = tuple(str(column.name) for column in table.columns if column.name != "digest")
    key = tuple(columns.index(name) for name in key_columns(table))
    texts = [place for place, name in enumerate(columns) if isinstance(table.c[name].type, Text)]
    # Of a single place ``itemgetter`` gives the text itself, which joins to itself as well.
    take = itemgetter(*texts) if texts else lambda content: ()
    return Shape(str(table.name), columns, key, take, bool(table.info["logged"]))


@lru_cache(maxsize=64)
def key_columns(table: Table) -> tuple[str, ...]:
    """The names of a table's primary key."""
    return tuple(column.name for column in table.primary_key.columns)


def key_text(table: Table, values: Row) -> str:
    """A row's key as log entries name it."""
    shape = shape_of(table)
    return shape.key_text([values[name] for name in shape.columns])


def _key_part(value: object) -> str:
    return str(value) if type(value) is int else str(value).replace("%", "%25").replace("/", "%2F")


@lru_cache(maxsize=128)
def _changing(operation: str, table: Table) -> Update | Delete:
    key = and_(*(table.c[name] == bindparam(f"k_{name}") for name in key_columns(table)))
    names = [column.name for column in table.columns]
    match operation:
        case "update":
            others = (name for name in names if name not in key_columns(table))
            return update(table).where(key).values({name: bindparam(name) for name in others})
        case "delete":
            return delete(table).where(key)
        case _:
            raise ValueError(f"unknown operation {operation}")


def _run(connection: Connection, operation: str, table: Table, values: Row) -> int:
    """Run a statement; how many rows it changed."""
    statement = compiled(_changing(operation, table), connection.dialect)
    return int(driver_of(connection).execute(statement.text, statement.bind(values)).rowcount)


def _verify_changed(table: Table, found: int, wanted: int) -> None:
    """What is written over was read in the same transaction, so it is there; a change of nothing must not be logged."""
    if found != wanted:
        raise StoreCorrupt(f"expected to write over {wanted} rows of {table.name}, found {found} of them")


def update_row(connection: Connection, table: Table, row: Row) -> bytes:
    """Write a whole row over the one with the same key and return its digest.

    Raises:
        StoreCorrupt: there is no such row.
        UsageProblem: a text that not every database keeps.
    """
    digest = digest_of(table, row)
    key = {f"k_{name}": row[name] for name in key_columns(table)}
    _verify_changed(table, _run(connection, "update", table, {**row, "digest": digest, **key}), 1)
    return digest


def update_rows(connection: Connection, table: Table, changed: Sequence[Row]) -> list[bytes]:
    """As ``update_row``, for many rows in one call."""
    statement, digests = compiled(_changing("update", table), connection.dialect), []
    bound = []
    for row in changed:
        digests.append(digest_of(table, row))
        key = {f"k_{name}": row[name] for name in key_columns(table)}
        bound.append(statement.bind({**row, "digest": digests[-1], **key}))
    with closing(driver_of(connection).cursor()) as cursor:
        cursor.executemany(statement.text, bound)
        _verify_changed(table, cursor.rowcount, len(bound))
    return digests


def delete_row(connection: Connection, table: Table, row: Row) -> None:
    """Delete the row with this key."""
    key = {f"k_{name}": row[name] for name in key_columns(table)}
    _run(connection, "delete", table, key)


@lru_cache(maxsize=128)
def _lookup(table: Table, names: tuple[str, ...], count: int | None) -> Select[Any]:
    statement = select(table).where(*(table.c[name] == bindparam(name) for name in names))
    # In key order the database might read all rows before those that are wanted; only some are wanted in none.
    return statement.order_by(*table.primary_key.columns) if count is None else statement.limit(count)


@lru_cache(maxsize=64)
def _names(table: Table) -> tuple[str, ...]:
    return tuple(str(column.name) for column in table.columns)


def find_rows(connection: Connection, table: Table, equals: Row, count: int | None = None) -> list[Row]:
    """Read the rows with these values, each verified: all in key order, or at most ``count`` in no order.

    Raises:
        StoreCorrupt: a row does not match its digest.
    """
    return fetch_rows(connection, table, _lookup(table, tuple(equals), count), equals)


def fetch_rows(connection: Connection, table: Table, statement: Select[Any], values: Row) -> list[Row]:
    """Read the rows that a kept statement finds, each verified.

    Raises:
        StoreCorrupt: a row does not match its digest.
    """
    return [verified(table, row) for row in fetch_all(connection, statement, values)]


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
    for row in connection.execute(statement):
        yield verified(table, row)


def verified(table: Table, values: Sequence[Any]) -> Row:
    """Check a row against its digest.

    Args:
        values: of every column in the table's order; the digest is the last.

    Raises:
        StoreCorrupt: it does not match.
    """
    stored = values[-1]
    if not isinstance(stored, bytes) or not hmac.compare_digest(stored, content_digest(shape_of(table), values[:-1])):
        raise StoreCorrupt(
            f"table {table.name}: a row does not match its digest",
            hint="restore the newest backup with: swarmsec restore FILE",
        )
    return dict(zip(_names(table), values, strict=True))
