"""SwarmKit's renewal window."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ca.errors import InvalidRequest
from ca.renewal import is_due, is_overdue, renewal_time
from tests.unit.ca.authority import NOW

BEGIN = NOW.replace(second=0, microsecond=0)
ALMOST_ONE = 1 - 2**-53
MINUTE = timedelta(minutes=1)

FRACTIONS = st.floats(0, 1, exclude_max=True)
BEGINS = st.datetimes(datetime(1960, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
LIVES = st.timedeltas(timedelta(minutes=2), timedelta(days=40 * 365))


@pytest.mark.parametrize(
    ("life", "fraction", "minutes"),
    [
        (timedelta(days=90), 0.0, 45 * 24 * 60),
        (timedelta(days=90), ALMOST_ONE, 72 * 24 * 60 - 1),
        (timedelta(days=90), 0.5, (45 + 72) * 12 * 60),
        # A certificate of an hour lives two, backdating included: renewed 0 to 36 minutes after its issue.
        (timedelta(hours=2), 0.0, 60),
        (timedelta(hours=2), ALMOST_ONE, 95),
        (timedelta(minutes=2), 0.0, 1),
        (timedelta(minutes=2), ALMOST_ONE, 1),
        (timedelta(minutes=10), ALMOST_ONE, 7),
        (timedelta(seconds=119), ALMOST_ONE, 0),
        (timedelta(seconds=1), 0.0, 0),
    ],
)
def test_the_window_is_swarmkits(life: timedelta, fraction: float, minutes: int) -> None:
    assert renewal_time(BEGIN, BEGIN + life, fraction) == BEGIN + minutes * MINUTE


@given(BEGINS, LIVES, FRACTIONS)
def test_every_renewal_is_a_whole_minute_in_the_window(begin: datetime, life: timedelta, fraction: float) -> None:
    due = renewal_time(begin, begin + life, fraction)
    assert (due - begin) % MINUTE == timedelta(0)
    assert begin + life / 2 - MINUTE < due < begin + life
    assert due < begin + 4 * life / 5 or life < timedelta(minutes=5)


@given(BEGINS, LIVES, FRACTIONS, st.timedeltas(-timedelta(days=400), timedelta(days=60 * 365)))
def test_due_begins_with_the_renewal_and_overdue_follows(
    begin: datetime, life: timedelta, fraction: float, passed: timedelta
) -> None:
    end, now = begin + life, begin + passed
    assert is_due(begin, end, fraction, now=now) == (now >= renewal_time(begin, end, fraction))
    assert is_due(begin, end, fraction, now=now) or not is_overdue(begin, end, now=now)


def test_overdue_begins_where_the_window_ends() -> None:
    end = BEGIN + timedelta(days=90)
    assert not is_overdue(BEGIN, end, now=BEGIN + timedelta(days=72, seconds=-1))
    assert is_overdue(BEGIN, end, now=BEGIN + timedelta(days=72))
    assert is_overdue(BEGIN, end, now=end + timedelta(days=1))


def test_what_has_expired_is_due_and_overdue() -> None:
    for life in (timedelta(seconds=30), timedelta(minutes=2), timedelta(days=90)):
        later = BEGIN + life + MINUTE
        assert is_due(BEGIN, BEGIN + life, ALMOST_ONE, now=later)
        assert is_overdue(BEGIN, BEGIN + life, now=later)


def test_other_zones_are_the_same_moments() -> None:
    east = timezone(timedelta(hours=9))
    end = BEGIN + timedelta(days=90)
    assert renewal_time(BEGIN.astimezone(east), end, 0.25) == renewal_time(BEGIN, end, 0.25)


@pytest.mark.parametrize("fraction", [-0.01, 1.0, 2.0, float("nan"), float("inf"), -float("inf")])
def test_fractions_are_bounded(fraction: float) -> None:
    with pytest.raises(InvalidRequest, match="fraction from 0"):
        renewal_time(BEGIN, BEGIN + timedelta(days=90), fraction)


@pytest.mark.parametrize("life", [timedelta(0), timedelta(seconds=-1), timedelta(days=-90)])
def test_a_life_has_a_length(life: timedelta) -> None:
    with pytest.raises(InvalidRequest, match="ends after it begins"):
        renewal_time(BEGIN, BEGIN + life, 0.5)
    with pytest.raises(InvalidRequest, match="ends after it begins"):
        is_overdue(BEGIN, BEGIN + life, now=BEGIN)


def test_times_need_their_zone() -> None:
    end, naive = BEGIN + timedelta(days=90), BEGIN.replace(tzinfo=None)
    for call in (
        lambda: renewal_time(naive, end, 0.5),
        lambda: renewal_time(BEGIN, naive, 0.5),
        lambda: is_due(BEGIN, end, 0.5, now=naive),
        lambda: is_overdue(BEGIN, end, now=naive),
    ):
        with pytest.raises(InvalidRequest, match="zone"):
            call()
