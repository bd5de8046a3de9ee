"""Lifetimes. What profiles put into certificates is looked at in ``test_issuing``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ca.errors import InvalidRequest
from ca.identity import NodeRole
from ca.profiles import (
    BACKDATE,
    DEFAULT_LIFETIME,
    MIN_LIFETIME,
    ROOT_LIFETIME,
    Profile,
    Validity,
    root_validity,
    swarm_node,
    validity,
)
from tests.unit.ca.authority import NOW

MINUTE = datetime(2026, 5, 4, 10, 20, tzinfo=UTC)
FAR = datetime(2046, 1, 1, tzinfo=UTC)


def test_constants_are_swarmkits() -> None:
    assert (timedelta(hours=2160), timedelta(hours=1), timedelta(hours=1)) == (DEFAULT_LIFETIME, MIN_LIFETIME, BACKDATE)
    assert timedelta(days=20 * 365) == ROOT_LIFETIME


@pytest.mark.parametrize("role", NodeRole)
def test_nodes_have_the_profile_of_their_role(role: NodeRole) -> None:
    assert swarm_node(role).role is role


def test_other_profiles_have_no_role() -> None:
    assert [profile for profile in Profile if profile.role is None] == [Profile.SERVER, Profile.CLIENT, Profile.ROOT]


def test_a_leaf_begins_an_hour_ago_and_lives_90_days() -> None:
    expected = Validity(not_before=MINUTE - timedelta(hours=1), not_after=MINUTE + timedelta(days=90))
    assert validity(NOW, issuer_not_after=FAR) == expected


def test_the_backdated_begin_is_rounded_down_to_the_minute() -> None:
    made = validity(NOW, timedelta(hours=1), timedelta(seconds=31), issuer_not_after=FAR)
    assert made.not_before == MINUTE - timedelta(minutes=1)
    assert made.not_after == MINUTE + timedelta(hours=1)


def test_a_leaf_never_outlives_its_issuer() -> None:
    end = NOW + timedelta(minutes=5)
    assert validity(NOW, issuer_not_after=end).not_after == end.replace(microsecond=0)


@pytest.mark.parametrize("left", [timedelta(0), timedelta(seconds=-1), timedelta(days=-400)])
def test_an_issuer_without_time_left_issues_nothing(left: timedelta) -> None:
    with pytest.raises(InvalidRequest, match="issuer with time left") as caught:
        validity(NOW, issuer_not_after=NOW + left)
    assert caught.value.hint is not None


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(minutes=59), -ROOT_LIFETIME, timedelta.max])
def test_a_short_lifetime_is_refused_and_not_replaced(lifetime: timedelta) -> None:
    with pytest.raises(InvalidRequest, match="lifetime of 1 h"):
        validity(NOW, lifetime, issuer_not_after=FAR)


@pytest.mark.parametrize("backdate", [timedelta(seconds=-1), timedelta(days=1, seconds=1)])
def test_backdates_are_bounded(backdate: timedelta) -> None:
    with pytest.raises(InvalidRequest, match="backdate"):
        validity(NOW, backdate=backdate, issuer_not_after=FAR)
    with pytest.raises(InvalidRequest, match="backdate"):
        root_validity(NOW, backdate=backdate)


def test_times_without_zone_are_refused() -> None:
    naive = NOW.replace(tzinfo=None)
    with pytest.raises(InvalidRequest, match="zone"):
        validity(naive, issuer_not_after=FAR)
    with pytest.raises(InvalidRequest, match="zone"):
        validity(NOW, issuer_not_after=naive)
    with pytest.raises(InvalidRequest, match="zone"):
        root_validity(naive)


def test_times_of_other_zones_are_converted() -> None:
    east = timezone(timedelta(hours=9))
    assert validity(NOW.astimezone(east), issuer_not_after=FAR.astimezone(east)) == validity(NOW, issuer_not_after=FAR)


def test_the_whole_life_of_a_root_is_20_years() -> None:
    made = root_validity(NOW)
    assert made.not_before == MINUTE - timedelta(hours=1)
    assert made.not_after - made.not_before == ROOT_LIFETIME


@pytest.mark.parametrize("lifetime", [timedelta(hours=24), 3 * ROOT_LIFETIME])
def test_lifetimes_of_roots_are_bounded(lifetime: timedelta) -> None:
    with pytest.raises(InvalidRequest, match="root's lifetime"):
        root_validity(NOW, lifetime)


@pytest.mark.parametrize("now", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_times_at_the_ends_of_the_calendar_are_refused(now: datetime) -> None:
    end = datetime.max.replace(tzinfo=UTC)
    with pytest.raises(InvalidRequest):
        validity(now, issuer_not_after=end)
    with pytest.raises(InvalidRequest):
        root_validity(now)
    with pytest.raises(InvalidRequest):
        root_validity(now.replace(tzinfo=timezone(timedelta(hours=9 if now.year == 1 else -9))))


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        (MINUTE, MINUTE),
        (MINUTE, MINUTE - timedelta(hours=1)),
        (MINUTE.replace(microsecond=1), FAR),
        (MINUTE.replace(tzinfo=None), FAR),
        (MINUTE.astimezone(timezone(timedelta(hours=1))), FAR),
        (MINUTE.replace(year=1949), FAR),
    ],
)
def test_other_validities_cannot_be_made(begin: datetime, end: datetime) -> None:
    with pytest.raises(InvalidRequest):
        Validity(not_before=begin, not_after=end)


@given(
    now=st.datetimes(datetime(1960, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    lifetime=st.timedeltas(MIN_LIFETIME, ROOT_LIFETIME),
    backdate=st.timedeltas(timedelta(0), timedelta(days=1)),
    left=st.timedeltas(timedelta(seconds=1), ROOT_LIFETIME),
)
def test_what_a_validity_promises(now: datetime, lifetime: timedelta, backdate: timedelta, left: timedelta) -> None:
    made = validity(now, lifetime, backdate, issuer_not_after=now + left)
    assert made.not_before <= now - backdate
    assert made.not_before.second == 0
    assert made.not_after <= now + min(lifetime, left)
    assert made.not_after + timedelta(seconds=61) > now + min(lifetime, left)


NONE = timedelta(0)


@pytest.mark.parametrize("lifetime", [timedelta(minutes=2), timedelta(minutes=59, seconds=59)])
def test_a_short_life_begins_with_the_second_of_its_issue(lifetime: timedelta) -> None:
    second = NOW.replace(microsecond=0)
    made = validity(NOW, lifetime, NONE, issuer_not_after=FAR, allow_short=True)
    assert made == Validity(not_before=second, not_after=second + lifetime)


def test_a_short_life_is_asked_for_expressly() -> None:
    with pytest.raises(InvalidRequest, match="lifetime of 1 h"):
        validity(NOW, timedelta(minutes=10), NONE, issuer_not_after=FAR)


@pytest.mark.parametrize("lifetime", [NONE, timedelta(minutes=1, seconds=59), timedelta(days=-1)])
def test_nothing_is_shorter_than_two_minutes(lifetime: timedelta) -> None:
    with pytest.raises(InvalidRequest, match="lifetime of 2 min"):
        validity(NOW, lifetime, NONE, issuer_not_after=FAR, allow_short=True)


@pytest.mark.parametrize("backdate", [timedelta(hours=1), timedelta(seconds=1), timedelta(seconds=-1)])
def test_a_short_life_is_not_backdated(backdate: timedelta) -> None:
    with pytest.raises(InvalidRequest, match="no backdate"):
        validity(NOW, timedelta(minutes=59), backdate, issuer_not_after=FAR, allow_short=True)


@pytest.mark.parametrize("lifetime", [MIN_LIFETIME, DEFAULT_LIFETIME])
def test_allowing_short_lives_changes_nothing_for_others(lifetime: timedelta) -> None:
    allowed = validity(NOW, lifetime, issuer_not_after=FAR, allow_short=True)
    assert allowed == validity(NOW, lifetime, issuer_not_after=FAR)


def test_a_short_life_ends_with_its_issuer() -> None:
    end = NOW + timedelta(seconds=90)
    made = validity(NOW, timedelta(minutes=5), NONE, issuer_not_after=end, allow_short=True)
    assert made.not_after == end.replace(microsecond=0)
    with pytest.raises(InvalidRequest):
        validity(NOW, timedelta(minutes=5), NONE, issuer_not_after=NOW, allow_short=True)
    with pytest.raises(InvalidRequest, match="ends after it begins"):
        validity(NOW, timedelta(minutes=5), NONE, issuer_not_after=NOW + timedelta(microseconds=1), allow_short=True)
