"""Times and ids of entries.

The random parts of ids are drawn and worded many at a time: for an entry that is alone in its transaction, with a
processor that has forgotten everything while it waited for the disk, one costs as much as hashing the entry.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from swarmsec.audit.entry import UUID_RANDOM_BYTES, uuid7_head, uuid7_tails
from swarmsec.clock import Clock, rfc3339

DRAWN_AT_ONCE: Final = 64


class Moment(NamedTuple):
    """One reading of the clocks: what ids of this millisecond begin with, RFC 3339 time, monotonic microseconds."""

    id_head: str
    time: str
    mono: int


class Stamps:
    """Reads the clocks and gives out ids; for one thread at a time, as the writer's turn keeps it.

    Args:
        clock: time and randomness.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tails: list[str] = []

    def moment(self) -> Moment:
        """The time that it is now."""
        now = self._clock.unix_ms()
        return Moment(uuid7_head(now), rfc3339(now), self._clock.monotonic_us())

    def id_tail(self) -> str:
        """What an id ends with; no other has the same."""
        if not self._tails:
            self._tails = uuid7_tails(self._clock.random(UUID_RANDOM_BYTES * DRAWN_AT_ONCE))
        return self._tails.pop()
