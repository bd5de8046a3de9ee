"""Units of work in two parts, so that a group does the work between them for all of its units together.

The first part only looks and decides; it ends by handing over its work, such as a certificate to be signed. The group
does the work of many in one call, and the second part writes down what came of it. Nothing is done that no first part
decided, and each second part runs in the transaction of its first.

Between the two, other units look at the database as well. So a unit names the rows that matter to it: two that name the
same are never under way at the same time, nor is any while a unit in one piece runs. What a group leaves is what its
units would leave one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from swarmsec.services.ports import Transaction

T = TypeVar("T")


class Work(NamedTuple):
    """``do`` is given the items of all units of a group that hand it over, and returns a result for each in order."""

    do: Callable[[Sequence[Any]], Sequence[Any]]
    item: Any


Parts = Generator[Work, Any, T]
"""A unit on its way: reads, yields its work once, is sent the result, writes, and returns its value."""


class PartsWrong(Exception):
    """A defect of ours: a unit wrote in its first part, or handed over work twice."""


def run_alone(parts: Parts[T]) -> T:
    """Run both parts of a unit, and its work by itself."""
    try:
        work = next(parts)
    except StopIteration as ended:
        value: T = ended.value
        return value
    (result,) = work.do([work.item])
    return finish(parts, result)


def finish(parts: Parts[T], result: Any) -> T:
    """Run the second part.

    Raises:
        PartsWrong: it hands over work again.
    """
    try:
        parts.send(result)
    except StopIteration as ended:
        value: T = ended.value
        return value
    raise PartsWrong("expected a unit to hand over work once")


@dataclass(frozen=True, slots=True)
class Parted(Generic[T]):
    """A unit in two parts; called, it runs by itself.

    Args:
        begin: makes the parts for a transaction.
        touches: names of the rows that its first part looks for and the second part of such a unit may write.
    """

    begin: Callable[[Any], Parts[T]]
    touches: frozenset[Hashable]

    def __call__(self, transaction: Transaction) -> T:
        """Run both parts, and the work by itself."""
        return run_alone(self.begin(transaction))
