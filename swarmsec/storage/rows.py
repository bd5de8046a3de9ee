"""Reading and writing rows so that a changed byte is found.

A row's digest is SHA-256 over the MessagePack array of its table's name and every other column, which keeps kinds and
lengths, so that no two different rows share one. Statements are compiled once per table and dialect: on the way of a
durable write, building them anew costs more than the database does.
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
from sqlalchemy import Connection, Dialect, Table, Text, and_, bindparam, delete, func, insert, select, update
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
    shape = shape_of(table)
    return _digest(shape, [values[name] for name in shape.columns])


_encode: Final = msgspec.msgpack.Encoder().encode


def _digest(shape: Shape, content: Sequence[Any]) -> bytes:
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
        case "update":
            others = (name for name in names if name not in key_columns(table))
            statement: Any = update(table).where(key).values({name: bindparam(name) for name in others})
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
    """New rows on their way into the tables: written many at a time, before anything looks for them.

    It lives as long as one transaction, which began when the writer's lock was held, so what it learns of the tables
    stays true until rows are taken back.

    Args:
        connection: of the transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._driver = driver_of(connection)
        self._dialect = connection.dialect
        self._rows: dict[Table, list[Sequence[Any]]] = {}
        self._highest: dict[Table, int] = {}

    def add(self, table: Table, values: Row) -> bytes:
        """Take a row and return its digest.

        Raises:
            UsageProblem: a text that not every database keeps.
        """
        return self.add_content(table, [values[name] for name in shape_of(table).columns])

    def add_content(self, table: Table, content: Sequence[Any]) -> bytes:
        """Take a row whose columns, but for the digest, are given in the table's order; otherwise as ``add``."""
        digest = _digest(shape_of(table), content)
        # The digest is the last column of every table that has one.
        row = (*content, digest)
        if table in self._rows:
            self._rows[table].append(row)
        else:
            self._rows[table] = [row]
        if table in self._highest:
            self._highest[table] = max(self._highest[table], content[shape_of(table).key[0]])
        return digest

    def highest(self, table: Table) -> int:
        """The highest number that a row has, new ones among them, in a table with a single number from 1 on as key.

        The database is asked once in a transaction, and again only after rows were taken back.
        """
        if table not in self._highest:
            self.flush_table(table)
            (found,) = self._driver.execute(highest_statement(table, self._dialect)).fetchone()
            self._highest[table] = 0 if found is None else int(found)
        return self._highest[table]

    def forget_highest(self, table: Table) -> None:
        """Ask the database again, because a row of this table was deleted."""
        self._highest.pop(table, None)

    def flush(self) -> None:
        """Write the rows; what the database says of one of them is raised here."""
        for table, rows in self._rows.items():
            self.write(table, rows)
        self._rows.clear()

    def flush_table(self, table: Table) -> None:
        """Write the rows of one table, and keep those of the others."""
        rows = self._rows.get(table)
        if rows is not None:
            self.write(table, rows)
            del self._rows[table]

    def flush_matching(self, table: Table, equals: Row) -> None:
        """Write the rows of one table if one of them has these values, so that the database finds it."""
        rows = self._rows.get(table)
        if rows is None:
            return
        take, wanted = _taker(table, tuple(equals)), tuple(equals.values())
        if any(take(row) == wanted for row in rows):
            self.flush_table(table)

    def write(self, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Write rows whose columns are in the table's order, the digest included."""
        text, names = _insertion(table, self._dialect)
        bound: Sequence[Any] = rows if names is None else [dict(zip(names, row, strict=True)) for row in rows]
        if len(bound) == 1:
            self._driver.execute(text, bound[0])
            return
        # Closed in any case: SQLite keeps a transaction, and its lock, until the last statement of it is let go.
        with closing(self._driver.cursor()) as cursor:
            cursor.executemany(text, bound)

    def forget(self) -> None:
        """Drop the rows unwritten."""
        self._rows.clear()
        self._highest.clear()


@lru_cache(maxsize=128)
def _insertion(table: Table, dialect: Dialect) -> tuple[str, tuple[str, ...] | None]:
    """The statement, and the columns' names for a driver that takes values by name."""
    names = tuple(str(column.name) for column in table.columns)
    statement = insert(table).values({name: bindparam(name) for name in names})
    return str(statement.compile(dialect=dialect)), None if dialect.positional else names


@lru_cache(maxsize=128)
def highest_statement(table: Table, dialect: Dialect) -> str:
    """The question for the highest key of a table."""
    (key,) = table.primary_key.columns
    return str(select(func.max(key)).compile(dialect=dialect))


@lru_cache(maxsize=128)
def _taker(table: Table, names: tuple[str, ...]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """Takes the values of these columns out of a row in the table's order."""
    columns = [column.name for column in table.columns]
    places = [columns.index(name) for name in names]
    if len(places) == 1:
        (place,) = places
        return lambda row: (row[place],)
    return itemgetter(*places) if places else lambda row: ()


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
