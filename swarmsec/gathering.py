"""Gathering what callers hand in, for as long as the event loop finds more to read meanwhile.

What is done for many together costs less for each. Something that is alone waits for two rounds of an idle loop, some
microseconds; in a crowd it waits for as long as it is told at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")
_QUIET_ROUNDS: Final = 2


class Gathering(Generic[T]):
    """Takes things in one by one and hands them over together; for one loop at a time.

    Args:
        take: is given what was gathered, at least one thing, in the order in which it came.
        most: how many are not waited beyond.
        seconds: how long the first one waits at most.
    """

    def __init__(self, take: Callable[[list[T]], None], *, most: int, seconds: float) -> None:
        self._take = take
        self._most = most
        self._seconds = seconds
        self._gathered: list[T] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, item: T) -> None:
        """Take something in; the running loop hands it over."""
        loop = asyncio.get_running_loop()
        self._gathered.append(item)
        if self._loop is not loop:
            self._loop = loop
            loop.call_soon(self._look, loop, loop.time() + self._seconds, 1, 0)

    def hand_over(self) -> None:
        """Wait no longer."""
        gathered, self._gathered, self._loop = self._gathered, [], None
        if gathered:
            self._take(gathered)

    def _look(self, loop: asyncio.AbstractEventLoop, latest: float, known: int, quiet: int) -> None:
        """One round of the loop later: hand over if nothing more came, or if it has been long enough."""
        count = len(self._gathered)
        quiet = quiet + 1 if count == known else 0
        if quiet >= _QUIET_ROUNDS or count >= self._most or loop.time() >= latest:
            self.hand_over()
        else:
            loop.call_soon(self._look, loop, latest, count, quiet)
