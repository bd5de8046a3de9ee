"""Statements that go straight to the driver: compiled once for each dialect, and run without SQLAlchemy's result.

On the way of a durable write, and of a proof, building a statement or a result anew costs more than the database does.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Delete, Dialect, Select, Update
from sqlalchemy.sql.compiler import SQLCompiler

from swarmsec.storage.database import driver_of


class Statement:
    """A statement compiled for one dialect, run through the driver without building it again."""

    __slots__ = ("_fixed", "_positional", "_take", "text")

    def __init__(self, compiled: SQLCompiler) -> None:
        self.text = str(compiled)
        self._positional = compiled.positional
        names = tuple(compiled.positiontup or ())
        # Of a single name ``itemgetter`` gives the value itself.
        self._take = itemgetter(*names) if len(names) > 1 else lambda values: tuple(values[name] for name in names)
        # Such as a limit.
        self._fixed = {name: value for name, value in compiled.params.items() if value is not None}

    def bind(self, values: Mapping[str, Any]) -> Any:
        """Arrange values the way the driver wants them."""
        if self._fixed:
            values = {**self._fixed, **values}
        return self._take(values) if self._positional else values


@lru_cache(maxsize=256)
def compiled(statement: Select[Any] | Update | Delete, dialect: Dialect) -> Statement:
    """Compile a statement; the caller keeps it, so that it is the same one the next time."""
    return Statement(statement.compile(dialect=dialect))


def fetch_all(connection: Connection, statement: Select[Any], values: Mapping[str, Any]) -> list[Any]:
    """The rows that a kept statement finds, as plain tuples.

    Args:
        connection: inside a transaction.
        statement: with a parameter for each of ``values``.
        values: by the parameters' names.
    """
    prepared = compiled(statement, connection.dialect)
    found: list[Any] = driver_of(connection).execute(prepared.text, prepared.bind(values)).fetchall()
    return found
