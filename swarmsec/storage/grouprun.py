"""Running the units of a group in one transaction, those together that want the same.

See ``services.grouped`` for what keeps units apart that touch the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from typing import Any, NamedTuple

from swarmsec.errors import SwarmsecError, Unavailable
from swarmsec.services.grouped import Grouped
from swarmsec.services.ports import Refusal
from swarmsec.storage.transaction import Transaction


class Outcome(NamedTuple):
    """How one unit of a group ended: its value, or what it raised."""

    value: Any = None
    error: BaseException | None = None


class GroupRun:
    """Runs units one after the other, as far as their order can be told from outside.

    Args:
        begin: makes the transaction that units see which are done together, or one alone.
    """

    def __init__(self, begin: Callable[[], Transaction]) -> None:
        self._begin = begin
        self._outcomes: list[Outcome] = []
        self._held: list[Grouped[Any]] = []
        """Units that are to be done together, the newest of the group."""
        self._touched: set[Hashable] = set()

    def run(self, units: Collection[Callable[[Transaction], Any]]) -> list[Outcome]:
        """Run units and return their outcomes in order; one that was refused before it had written has left nothing.

        Raises:
            what a unit raises otherwise; then everything is to be undone.
            UnloggedChange: a unit changed a logged table and ended without an entry.
        """
        self._outcomes = []
        for unit in units:
            if isinstance(unit, Grouped):
                self._hold(unit)
            else:
                self._do_held()
                self._outcomes.append(self._done(unit))
        self._do_held()
        return self._outcomes

    def _hold(self, unit: Grouped[Any]) -> None:
        """Keep a unit until others that may be done together with it are known."""
        is_other = self._held and self._held[0].do != unit.do
        if is_other or not self._touched.isdisjoint(unit.touches):
            self._do_held()
        self._held.append(unit)
        self._touched.update(unit.touches)

    def _do_held(self) -> None:
        """Do what is held, which is of one function."""
        held, self._held = self._held, []
        self._touched.clear()
        if not held:
            return
        transaction = self._begin()
        results = held[0].do(transaction, [unit.item for unit in held])
        for _, result in zip(held, results, strict=True):
            # Of whoever is refused nothing is written, and so there is nothing to be undone either.
            transaction.verify_logged()
            self._outcomes.append(_refused(transaction, result) if isinstance(result, Refusal) else Outcome(result))

    def _done(self, unit: Callable[[Transaction], Any]) -> Outcome:
        """Run a unit in one piece."""
        transaction = self._begin()
        try:
            value = unit(transaction)
            transaction.verify_logged()
        except Refusal as refusal:
            if transaction.has_written:
                raise
            return _refused(transaction, refusal)
        except SwarmsecError as error:
            # What is unavailable may be the database, and the transaction lost with it.
            if transaction.has_written or isinstance(error, Unavailable):
                raise
            return Outcome(error=error)
        return Outcome(value)


def _refused(transaction: Transaction, refusal: Refusal) -> Outcome:
    transaction.log(refusal.event)
    return Outcome(error=refusal.error)
