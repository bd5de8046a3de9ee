"""New rows on their way into the tables."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any, TypeVar

from sqlalchemy import Connection, Dialect, Table, bindparam, exists, func, insert, select

from swarmsec.storage.database import driver_of
from swarmsec.storage.foreseen import Foreseen
from swarmsec.storage.rows import Row, content_digest, find_rows, key_columns, shape_of

T = TypeVar("T")


@dataclass(slots=True)
class _Some:
    """Rows that have certain values, by their keys; whether there are no others of them."""

    rows: dict[tuple[Any, ...], Row]
    is_all: bool


class InsertBuffer:
    """New rows on their way into the tables: written many at a time, before anything looks for them.

    It lives as long as one transaction, which began when the writer's lock was held, so what it learns of the tables
    stays true until rows are taken back.

    Args:
        connection: of the transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self.foreseen = Foreseen(connection)
        self._connection = connection
        self._driver = driver_of(connection)
        self._dialect = connection.dialect
        self._rows: dict[Table, list[Sequence[Any]]] = {}
        self._highest: dict[Table, int] = {}
        self._found: dict[Table, dict[Any, Any]] = {}
        # Rows that have certain values, by their keys, as long as nobody wrote over them.
        self._some: dict[Table, dict[Any, _Some]] = {}
        # The values that were looked for among the rows: by table and columns, so that no look goes through all rows.
        self._values: dict[Table, dict[tuple[str, ...], set[tuple[Any, ...]]]] = {}

    def add(self, table: Table, values: Row) -> bytes:
        """Take a row and return its digest.

        Raises:
            UsageProblem: a text that not every database keeps.
        """
        return self.add_content(table, [values[name] for name in shape_of(table).columns])

    def add_content(self, table: Table, content: Sequence[Any]) -> bytes:
        """Take a row whose columns, but for the digest, are given in the table's order; otherwise as ``add``."""
        digest = content_digest(shape_of(table), content)
        # The digest is the last column of every table that has one.
        row = (*content, digest)
        if table in self._rows:
            self._rows[table].append(row)
        else:
            self._rows[table] = [row]
        self._found.pop(table, None)
        self.foreseen.forget_content(table, content)
        if table in self._some:
            self.forget_row(table, dict(zip(shape_of(table).columns, content, strict=True)))
        for names, values in self._values.get(table, {}).items():
            values.add(_taker(table, names)(row))
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

    def once(self, table: Table, question: Hashable, ask: Callable[[], T]) -> T:
        """What the database answers to a question about a table, asked once until a row of the table is written.

        Args:
            question: what tells it from other questions about this table.
            ask: asks the database.
        """
        known = self._found.setdefault(table, {})
        if question not in known:
            known[question] = ask()
        answer: T = known[question]
        return answer

    def some(self, count: int, table: Table, equals: Row) -> list[Row]:
        """At most so many rows with these values, in no order; asked again only when there may be others of them.

        Raises:
            StoreCorrupt: a row does not match its digest.
        """
        question = tuple(equals.items())
        found = self._some.setdefault(table, {})
        known = found.get(question)
        if known is None or (len(known.rows) < count and not known.is_all):
            self.flush_matching(table, equals)
            rows = find_rows(self._connection, table, equals, count)
            known = found[question] = _Some({_key_of(table, row): row for row in rows}, len(rows) < count)
        return list(known.rows.values())[:count]

    def among(self, table: Table, column: str, values: Sequence[Any], equals: Row) -> dict[Any, list[Row]]:
        """The rows in key order that have one of these values in a column, by those values that any row has.

        Args:
            equals: what else they have, by columns.

        Raises:
            StoreCorrupt: a row does not match its digest.
        """
        if table in self._rows:
            for value in values:
                self.flush_matching(table, {**equals, column: value})
        if equals:
            return self.foreseen.ask_among(table, column, values, equals)
        return self.foreseen.among(table, column, values)

    def forget_row(self, table: Table, row: Row) -> None:
        """Ask the database again for what a row has that is written over or deleted."""
        self.foreseen.forget(table, row)
        known = self._some.get(table)
        if known:
            key = _key_of(table, row)
            for question, some in known.items():
                some.rows.pop(key, None)
                some.is_all = some.is_all and any(row[name] != value for name, value in question)

    def is_empty(self, table: Table) -> bool:
        """Whether a table has no row, new ones among them; the database is asked as in ``once``."""
        if table in self._rows:
            return False
        statement = _any_statement(table, self._dialect)
        return self.once(table, statement, lambda: not self._driver.execute(statement).fetchone()[0])

    def forget_answers(self, table: Table) -> None:
        """Ask the database again, because a row of this table was changed."""
        self._found.pop(table, None)

    def forget_table(self, table: Table) -> None:
        """Ask the database again for everything of a table, because many rows of it are written over."""
        self.foreseen.forget_table(table)
        self._some.pop(table, None)
        self.forget_answers(table)

    def forget_highest(self, table: Table) -> None:
        """Ask the database again, because a row of this table was deleted."""
        self._highest.pop(table, None)

    def flush(self) -> None:
        """Write the rows; what the database says of one of them is raised here."""
        for table, rows in self._rows.items():
            self.write(table, rows)
        self._rows.clear()
        self._values.clear()

    def flush_table(self, table: Table) -> None:
        """Write the rows of one table, and keep those of the others."""
        rows = self._rows.get(table)
        if rows is not None:
            self.write(table, rows)
            del self._rows[table]
            self._values.pop(table, None)

    def flush_row(self, table: Table, row: Row) -> None:
        """Write the rows of one table if the one with this row's key is among them."""
        if table in self._rows:
            self.flush_matching(table, {name: row[name] for name in key_columns(table)})

    def flush_matching(self, table: Table, equals: Row) -> None:
        """Write the rows of one table if one of them has these values, so that the database finds it."""
        rows = self._rows.get(table)
        if rows is None:
            return
        names, by_names = tuple(equals), self._values.setdefault(table, {})
        if names not in by_names:
            by_names[names] = set(map(_taker(table, names), rows))
        if tuple(equals.values()) in by_names[names]:
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
        self.foreseen.forget_all()
        self._some.clear()
        self._rows.clear()
        self._highest.clear()
        self._found.clear()
        self._values.clear()


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
def _any_statement(table: Table, dialect: Dialect) -> str:
    """The question for any row of a table."""
    return str(select(exists(select(*table.primary_key.columns))).compile(dialect=dialect))


@lru_cache(maxsize=128)
def _taker(table: Table, names: tuple[str, ...]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """Takes the values of these columns out of a row in the table's order."""
    columns = [column.name for column in table.columns]
    places = [columns.index(name) for name in names]
    if len(places) == 1:
        (place,) = places
        return lambda row: (row[place],)
    return itemgetter(*places) if places else lambda row: ()


def _key_of(table: Table, row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in key_columns(table))
