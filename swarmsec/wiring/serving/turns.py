"""The pace at which nodes are given certificates of another root: SwarmKit's by default, 30 at once and 10 a second.

Nodes ask by themselves, so each is told how long it has to wait, and its place is kept until then.
"""

from __future__ import annotations

from math import ceil
from typing import Final

from swarmsec.clock import Clock

BURST_SECONDS: Final = 3
MIN_PAUSE_SECONDS: Final = 2
MAX_PAUSE_SECONDS: Final = 60
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
        self.pause = MIN_PAUSE_SECONDS
        """How soon a node should ask again that waits for others, in seconds."""

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
        # All of them together shall not ask more often than they are given certificates.
        self.pause = min(max(MIN_PAUSE_SECONDS, ceil(nodes * self._distance / _SECOND)), MAX_PAUSE_SECONDS)
