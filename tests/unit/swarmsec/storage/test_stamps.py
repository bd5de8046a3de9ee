"""Times and ids of entries: each id is a version 7 UUID of its moment, and no two are the same."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from swarmsec.audit.entry import UUID_RANDOM_BYTES
from swarmsec.storage.stamps import DRAWN_AT_ONCE, Stamps
from tests.integration.clocks import StandingClock


@dataclass(slots=True, kw_only=True)
class CountingClock(StandingClock):
    """It also says how many bytes each draw took."""

    drawn: list[int] = field(default_factory=list)

    def random(self, count: int) -> bytes:
        self.drawn.append(count)
        return StandingClock.random(self, count)


def test_a_moment_says_the_time_in_all_its_forms() -> None:
    clock = StandingClock(seconds=1_700_000_000.25)
    moment = Stamps(clock).moment()
    assert moment.time == "2023-11-14T22:13:20.250Z"
    assert moment.mono == 1_700_000_000_250_000
    clock.seconds += 1
    assert Stamps(clock).moment().time == "2023-11-14T22:13:21.250Z"


def test_an_id_is_a_version_7_uuid_of_its_moment() -> None:
    stamps = Stamps(StandingClock(seconds=1_700_000_000.25))
    made = uuid.UUID(stamps.moment().id_head + stamps.id_tail())
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == 1_700_000_000_250


def test_no_id_is_given_out_twice_and_random_bits_are_drawn_anew_when_they_end() -> None:
    clock = CountingClock()
    stamps = Stamps(clock)
    tails = [stamps.id_tail() for _ in range(2 * DRAWN_AT_ONCE)]
    assert len(set(tails)) == len(tails)
    assert clock.drawn == [UUID_RANDOM_BYTES * DRAWN_AT_ONCE] * 2
