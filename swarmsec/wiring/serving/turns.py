"""The pace at which nodes are given certificates of another root: SwarmKit's by default, 30 at once and 10 a second.

Nodes ask by themselves, so each is told how long it has to wait, and its place is kept until then. Who waits for others
is told by the pace at which they come when there will be something to do: asking before would only cost both sides.
"""

from __future__ import annotations

from math import ceil
from typing import Final

from swarmsec.clock import Clock

BURST_SECONDS: Final = 3
MIN_PAUSE_SECONDS: Final = 2
MAX_PAUSE_SECONDS: Final = 60
LEAST_MOVED: Final = 50
"""Nodes that tell a pace; before, what is waited for is expected soon."""
_SECOND: Final = 1_000_000


class Turns:
    """Places in time, one after another.

    Args:
        clock: its monotonic time counts.
        per_second: how many places there are in a second.
    """

    def __init__(self, clock: Clock, per_second: int) -> None:
        self._clock = clock
        self._distance = _SECOND // per_second
        self._rest = BURST_SECONDS * per_second * self._distance
        self._next = clock.monotonic_us() - self._rest
        self._places: dict[str, int] = {}
        self.begin(0)

    def wait_for(self, node: str) -> int:
        """How many seconds a node has to wait; 0 where it is its turn."""
        now = self._clock.monotonic_us()
        place = self._places.get(node)
        if place is None:
            place = self._next = max(self._next + self._distance, now - self._rest)
            self._places[node] = place
        return max(0, ceil((place - now) / _SECOND))

    def begin(self, nodes: int) -> None:
        """Forget every place: another phase begins, which this many nodes take part in."""
        self._places.clear()
        self._nodes, self._moved, self._first, self._last = nodes, 0, 0, 0
        # All of them together shall not ask more often than they are given certificates.
        self._shortest = max(MIN_PAUSE_SECONDS, ceil(nodes * self._distance / _SECOND))

    def note_move(self) -> int:
        """Take up that another node did what the others are waited for, in the phase that began last.

        Returns:
            in how many seconds it should ask again: after as long as the phase takes in all, so that nodes come in the
            next one in the order and at the pace of this one. Rounded down, because a few who ask too early cost less
            than a part of a second in which nobody does.
        """
        self._last = self._clock.monotonic_us()
        self._first = self._first or self._last
        self._moved += 1
        return self._bounded(self._nodes * (self._last - self._first) // max(1, self._moved - 1) // _SECOND)

    def pause(self) -> int:
        """In how many seconds a node should ask again that waits for others: when these are expected to be done.

        If none has come for a while the next one is not expected sooner than that.
        """
        quiet = self._clock.monotonic_us() - self._last
        left = max(0, self._nodes - self._moved)
        return self._bounded(ceil(max(quiet, left / max(1, self._moved) * (self._last - self._first)) / _SECOND))

    def _bounded(self, seconds: int) -> int:
        wanted = seconds if self._moved >= LEAST_MOVED else 0
        return min(max(self._shortest, wanted), MAX_PAUSE_SECONDS)
