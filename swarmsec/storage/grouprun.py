"""Running the units of a group in one transaction, and the work of those in two parts together.

See ``services.parted`` for what keeps units apart that touch the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from types import GeneratorType
from typing import Any, NamedTuple

from swarmsec.errors import SwarmsecError, Unavailable
from swarmsec.services.parted import Parted, Parts, PartsWrong, Work, finish
from swarmsec.services.ports import Refusal
from swarmsec.storage.transaction import Transaction


class Outcome(NamedTuple):
    """How one unit of a group ended: its value, or what it raised."""

    value: Any = None
    error: BaseException | None = None


class _Held(NamedTuple):
    """A unit between its two parts."""

    place: int
    transaction: Transaction
    parts: Parts[Any]
    work: Work


class GroupRun:
    """Runs units one after the other, as far as their order can be told from outside.

    Args:
        begin: makes the transaction that one unit sees.
    """

    def __init__(self, begin: Callable[[], Transaction]) -> None:
        self._begin = begin
        self._outcomes: list[Outcome] = []
        self._held: list[_Held] = []
        self._touched: set[Hashable] = set()

    def run(self, units: Sequence[Callable[[Transaction], Any]]) -> list[Outcome]:
        """Run units and return their outcomes in order; one that was refused before it had written has left nothing.

        Raises:
            what a unit raises otherwise, or its work; then everything is to be undone.
            UnloggedChange: a unit changed a logged table and ended without an entry.
            PartsWrong: a unit does not keep to its parts.
        """
        self._outcomes = [Outcome()] * len(units)
        for place, unit in enumerate(units):
            if isinstance(unit, Parted):
                self._start(place, unit)
            else:
                self._settle()
                self._end(place, self._begin(), unit)
        self._settle()
        return self._outcomes

    def _start(self, place: int, unit: Parted[Any]) -> None:
        """Run a first part; a unit that ends with it has nothing to be done."""
        if not self._touched.isdisjoint(unit.touches):
            self._settle()

        def first(transaction: Transaction) -> Any:
            parts = unit.begin(transaction)
            try:
                work = next(parts)
            except StopIteration as ended:
                return ended.value
            finally:
                if transaction.has_written:
                    raise PartsWrong("expected a unit to write nothing before it has handed over its work")
            self._held.append(_Held(place, transaction, parts, work))
            self._touched.update(unit.touches)
            return None

        self._end(place, self._begin(), first)

    def _settle(self) -> None:
        """Do the work of the units that are held, and let them end in their order."""
        held, self._held = self._held, []
        self._touched.clear()
        results = _done([each.work for each in held])
        for (place, transaction, parts, _), result in zip(held, results, strict=True):
            self._end(place, transaction, partial(_finished, parts, result))

    def _end(self, place: int, transaction: Transaction, run: Callable[[Transaction], Any]) -> None:
        """Run a unit, or a part of one, and keep what came of it."""
        try:
            value = run(transaction)
            if isinstance(value, GeneratorType):
                raise PartsWrong("expected a unit in two parts to be told as such")
            transaction.verify_logged()
        except Refusal as refusal:
            if transaction.has_written:
                raise
            transaction.log(refusal.event)
            self._outcomes[place] = Outcome(error=refusal.error)
        except SwarmsecError as error:
            # What is unavailable may be the database, and the transaction lost with it.
            if transaction.has_written or isinstance(error, Unavailable):
                raise
            self._outcomes[place] = Outcome(error=error)
        else:
            self._outcomes[place] = Outcome(value=value)


def _finished(parts: Parts[Any], result: Any, _: Transaction) -> Any:
    return finish(parts, result)


def _done(works: Sequence[Work]) -> list[Any]:
    """The results of works in their order; those for the same function are done in one call."""
    results: list[Any] = [None] * len(works)
    places: dict[Callable[[Sequence[Any]], Sequence[Any]], list[int]] = {}
    for place, work in enumerate(works):
        places.setdefault(work.do, []).append(place)
    for do, those in places.items():
        for place, result in zip(those, do([works[each].item for each in those]), strict=True):
            results[place] = result
    return results
