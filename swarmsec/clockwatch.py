"""Notices when the wall clock is set: certificates, tokens and the log's times all believe it."""

from __future__ import annotations

from swarmsec.clock import Clock

TOLERANCE_MS = 1000
"""Steps below this, in milliseconds, are what time daemons do all day."""


class ClockWatch:
    """Compares the wall clock with the one that never steps.

    Args:
        clock: both clocks.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = self._measure()

    def step(self) -> int:
        """By how many milliseconds the wall clock was set since the last call; 0 for less than the tolerance."""
        offset = self._measure()
        moved, self._offset = offset - self._offset, offset
        return moved if abs(moved) >= TOLERANCE_MS else 0

    def _measure(self) -> int:
        return self._clock.unix_ms() - self._clock.monotonic_us() // 1000
