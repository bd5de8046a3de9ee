"""Units of work that a group does together, each step for all of them before the next.

What such units have in common is asked once, and the code of one step stays in the processor's caches. Their function
is given the items of several of them in their order: it looks and decides for all, then does for all what takes long,
such as signing, and then writes for one after the other and yields what came of it. Whoever is refused is yielded as
the refusal and has written nothing.

While a function decides, nothing of its items is written yet. So a unit names the rows that matter to it: two that name
the same are never done in one call. What a group leaves is what its units would leave one after the other, each in a
group of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from swarmsec.services.ports import Refusal, Transaction

T = TypeVar("T")
Results = Iterator[T | Refusal]
"""For each item in its order its value, after its rows and entries were written, or why it is refused."""


@dataclass(frozen=True, slots=True)
class Grouped(Generic[T]):
    """A unit that is done together with others of the same function; called, it is done by itself.

    Args:
        do: is given a transaction and the items of all units that are done together.
        item: this unit's.
        touches: names of the rows that ``do`` looks for and may write.
    """

    do: Callable[[Any, Sequence[Any]], Results[T]]
    item: Any
    touches: frozenset[Hashable]

    def __call__(self, transaction: Transaction) -> T:
        """Do what is asked in a group of one.

        Raises:
            Refusal: it is refused.
        """
        (result,) = self.do(transaction, [self.item])
        if isinstance(result, Refusal):
            raise result
        return result
