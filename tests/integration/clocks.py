"""A clock that stands still until it is told to go on."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class StandingClock:
    """The ``Clock`` port: wall clock and monotonic clock in step, randomness from the system."""

    seconds: float = 1_700_000_000.0

    def unix_ms(self) -> int:
        return int(self.seconds * 1000)

    def monotonic_us(self) -> int:
        return int(self.seconds * 1_000_000)

    def random(self, count: int) -> bytes:
        return os.urandom(count)
