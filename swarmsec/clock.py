"""The one place that reads clocks and draws randomness; everything below gets them as arguments."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol


class Clock(Protocol):
    """What the shell knows of time and chance."""

    def unix_ms(self) -> int:
        """Milliseconds since the epoch, by the wall clock."""

    def monotonic_us(self) -> int:
        """Microseconds since boot, sleep included; never steps back."""

    def random(self, count: int) -> bytes:
        """That many bytes from the operating system's cryptographic source."""


class SystemClock:
    """The machine's own clocks and entropy."""

    def unix_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_us(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000

    def random(self, count: int) -> bytes:
        return os.urandom(count)


def unix_seconds(clock: Clock) -> int:
    """The wall clock in whole seconds."""
    return clock.unix_ms() // 1000


def now_utc(clock: Clock) -> datetime:
    """The wall clock as an aware time, in whole seconds."""
    return datetime.fromtimestamp(unix_seconds(clock), UTC)


@lru_cache(maxsize=4)
def rfc3339(unix_ms: int) -> str:
    """Format a time as RFC 3339 in UTC with milliseconds."""
    whole, milliseconds = divmod(unix_ms, 1000)
    return f"{_second(whole)}.{milliseconds:03d}Z"


@lru_cache(maxsize=4)
def _second(unix: int) -> str:
    return f"{datetime.fromtimestamp(unix, UTC):%Y-%m-%dT%H:%M:%S}"


def rfc3339_seconds(unix: int) -> str:
    """Format whole seconds as RFC 3339 in UTC."""
    return f"{_second(unix)}Z"
