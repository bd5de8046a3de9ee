"""Questions that are asked together: one for all who wait at the same time.

While a question is under way, what arrives gathers for the next one, so that whoever answers is asked as often as they
answer, however much there is to ask. Who asks in a crowd waits ``GATHER_SECONDS`` more, since the others of it come one
after the other, and each question costs as much as what several of them are for; who is alone does not. A question is
only asked after everything that it is for has arrived; no answer is kept.

What hangs must stop none but those who wait for its answer: where a question takes longer than ``PATIENCE_SECONDS``,
the next one is asked beside it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from swarmsec.errors import SwarmsecError

Q = TypeVar("Q")
A = TypeVar("A")
PATIENCE_SECONDS: Final = 0.02
GATHER_SECONDS: Final = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much is asked at one time.

    Args:
        questions: that are under way.
        together: of what waits, in one question.
        weight: of what is in one question, all in all; one thing alone may weigh more.
    """

    questions: int
    together: int
    weight: int = 0


class SharedQuestions(Generic[Q, A]):
    """Gathers what is to be asked, for one event loop.

    Args:
        ask: asks for several at once, and gives an answer or what kept it from one for each, in order; what it raises
            is everybody's.
        bounds: of a question.
        weigh: what a thing weighs.
    """

    def __init__(
        self,
        ask: Callable[[Sequence[Q]], Awaitable[Sequence[A | SwarmsecError]]],
        bounds: Bounds,
        weigh: Callable[[Q], int] = lambda item: 0,
    ) -> None:
        self._asking = ask
        self._bounds = bounds
        self._weigh = weigh
        self._waiting: deque[tuple[Q, asyncio.Future[A]]] = deque()
        self._under_way: set[asyncio.Future[Sequence[A | SwarmsecError]]] = set()
        self._ready = True
        self._is_due = False
        self._in_crowd = False

    async def ask(self, item: Q) -> A:
        """Ask for one.

        Raises:
            SwarmsecError: what was found against it, or what kept the question from being answered.
        """
        future: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if len(self._waiting) >= self._bounds.together:
            # Nothing more would come along.
            self._ask()
        else:
            self._ask_soon()
        return await future

    def _ask_soon(self) -> None:
        if self._is_due:
            return
        self._is_due = True
        loop = asyncio.get_running_loop()
        if self._in_crowd:
            loop.call_later(GATHER_SECONDS, self._ask_due)
        else:
            # What else the loop reads in this round comes along.
            loop.call_soon(self._ask_due)

    def _ask_due(self) -> None:
        self._is_due = False
        self._ask()

    def _ask(self) -> None:
        if not self._ready or len(self._under_way) >= self._bounds.questions:
            return
        together = self._take()
        if together:
            self._begin(together)

    def _take(self) -> Sequence[tuple[Q, asyncio.Future[A]]]:
        together: list[tuple[Q, asyncio.Future[A]]] = []
        weight = 0
        while self._waiting and len(together) < self._bounds.together:
            item, future = self._waiting[0]
            # Whoever was refused meanwhile, because it took too long, is asked about no more.
            if not future.done():
                weight += self._weigh(item)
                if together and weight > self._bounds.weight:
                    break
                together.append((item, future))
            self._waiting.popleft()
        return together

    def _begin(self, together: Sequence[tuple[Q, asyncio.Future[A]]]) -> None:
        asking = self._asking([item for item, _ in together])
        self._under_way.add(question := asyncio.ensure_future(asking))
        self._ready, self._in_crowd = False, len(together) > 1
        losing_patience = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._go_on)

        def end(answered: asyncio.Future[Sequence[A | SwarmsecError]]) -> None:
            losing_patience.cancel()
            self._under_way.discard(answered)
            _tell(together, answered)
            self._go_on()

        question.add_done_callback(end)

    def _go_on(self) -> None:
        self._ready = True
        if len(self._waiting) >= self._bounds.together:
            self._ask()
        elif self._waiting:
            self._ask_soon()


def _tell(
    together: Sequence[tuple[Q, asyncio.Future[A]]], answered: asyncio.Future[Sequence[A | SwarmsecError]]
) -> None:
    """Give everybody their own part of an answer, or what kept all of them from one."""
    if answered.cancelled():
        for _, future in together:
            future.cancel()
        return
    error = answered.exception()
    found = [error] * len(together) if error is not None else answered.result()
    for (_, future), item in zip(together, found, strict=True):
        if future.done():
            continue
        if isinstance(item, BaseException):
            future.set_exception(item)
        else:
            future.set_result(item)
