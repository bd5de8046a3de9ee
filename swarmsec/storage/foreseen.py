"""What the units of a group will look for, asked of the database together before they run.

One question for a group costs about as much as one for a unit, and on a server it is one round trip. An answer holds
until a row with its value is written; whoever looks then asks the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Select, Table, bindparam, select

from swarmsec.storage.rows import Row, fetch_rows, shape_of

MAX_TOGETHER: Final = 256
"""Values in one question."""
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Look(NamedTuple):
    """The rows of a table that have a value in a column."""

    table: Table
    column: str
    value: int | str | bytes


class Foreseen:
    """Answers to looks that were told beforehand; it lives as long as one transaction.

    Args:
        connection: of the transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # By table: column, the column's place in a row's content, and the rows by value.
        self._answers: dict[Table, list[tuple[str, int, dict[Any, list[Row]]]]] = {}

    def ask(self, looks: Iterable[Look]) -> None:
        """Ask the database, once for each column.

        Raises:
            StoreCorrupt: a row does not match its digest.
        """
        wanted: dict[tuple[Table, str], set[Any]] = {}
        for table, column, value in looks:
            # What no row can hold is left to the unit that looks for it.
            if not isinstance(value, str) or (value.isascii() and value.isprintable()):
                wanted.setdefault((table, column), set()).add(value)
        for (table, column), values in wanted.items():
            answers: dict[Any, list[Row]] = {value: [] for value in values}
            answers.update(self.ask_among(table, column, list(values)))
            place = shape_of(table).columns.index(column)
            self._answers.setdefault(table, []).append((column, place, answers))

    def rows(self, table: Table, equals: Row) -> list[Row] | None:
        """The rows with these values as the database has them, or None where it has to be asked."""
        if len(equals) == 1:
            ((column, value),) = equals.items()
            for name, _, answers in self._answers.get(table, ()):
                if name == column:
                    return answers.get(value)
        return None

    def among(self, table: Table, column: str, values: Sequence[Any]) -> dict[Any, list[Row]]:
        """The rows that the database has for these values, by those values that any row has.

        Raises:
            StoreCorrupt: a row does not match its digest.
        """
        known = {value: self.rows(table, {column: value}) for value in values} if table in self._answers else {}
        found = self.ask_among(table, column, [value for value in values if known.get(value) is None])
        found.update((value, rows) for value, rows in known.items() if rows)
        return found

    def forget_content(self, table: Table, content: Sequence[Any]) -> None:
        """Ask anew for what a new row has, its columns in the table's order."""
        for _, place, answers in self._answers.get(table, ()):
            answers.pop(content[place], None)

    def forget(self, table: Table, row: Row) -> None:
        """Ask anew for what a row has that is written over or deleted."""
        for column, _, answers in self._answers.get(table, ()):
            answers.pop(row[column], None)

    def forget_table(self, table: Table) -> None:
        """Ask anew for everything of a table."""
        self._answers.pop(table, None)

    def forget_all(self) -> None:
        """Ask anew for everything, because rows were taken back."""
        self._answers.clear()

    def ask_among(
        self, table: Table, column: str, values: Sequence[Any], equals: Mapping[str, Any] = _NOTHING
    ) -> dict[Any, list[Row]]:
        """As ``among``, of the database in any case.

        Args:
            equals: what else the rows have, by columns.

        Raises:
            StoreCorrupt: a row does not match its digest.
        """
        found: dict[Any, list[Row]] = {}
        for start in range(0, len(values), MAX_TOGETHER):
            for row in self._fetch(table, column, values[start : start + MAX_TOGETHER], equals):
                found.setdefault(row[column], []).append(row)
        return found

    def _fetch(self, table: Table, column: str, values: Sequence[Any], equals: Mapping[str, Any]) -> list[Row]:
        # Filled up with the last one, so that there are few statements for the drivers to keep.
        count = 1 << (len(values) - 1).bit_length()
        filled = [*values, *[values[-1]] * (count - len(values))]
        bound = {f"value_{number}": value for number, value in enumerate(filled)}
        statement = _among(table, column, count, tuple(equals))
        return fetch_rows(self._connection, table, statement, {**bound, **equals})


@lru_cache(maxsize=128)
def _among(table: Table, column: str, count: int, equal: tuple[str, ...]) -> Select[Any]:
    wanted = table.c[column].in_([bindparam(f"value_{number}") for number in range(count)])
    others = [table.c[name] == bindparam(name) for name in equal]
    return select(table).where(wanted, *others).order_by(*table.primary_key.columns)
