"""Revocations, and how long they stay listed."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ca.errors import InvalidRequest
from ca.revocation_entries import Reason, Revocation, RevokedCertificate, by_serial, entries_to_list, parse_reason
from tests.unit.ca.authority import NOW

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
UPDATE = NOW.replace(microsecond=0)


@pytest.mark.parametrize("serial", [0, -1, 2**159])
def test_serials_are_bounded(serial: int) -> None:
    with pytest.raises(InvalidRequest, match="positive serial"):
        Revocation(serial=serial, revoked_at=UPDATE, reason=Reason.UNSPECIFIED)


@pytest.mark.parametrize(
    "moment",
    [
        UPDATE.replace(tzinfo=None),
        UPDATE.replace(microsecond=1),
        UPDATE.replace(year=1949),
        UPDATE.astimezone(timezone(timedelta(hours=1))),
    ],
)
def test_a_revocation_has_a_time_that_lists_can_hold(moment: datetime) -> None:
    with pytest.raises(InvalidRequest, match="revocation in UTC"):
        Revocation(serial=1, revoked_at=moment, reason=Reason.UNSPECIFIED)


def certificate(serial: int, *, revoked_at: datetime, not_after: datetime) -> RevokedCertificate:
    entry = Revocation(serial=serial, revoked_at=revoked_at, reason=Reason.SUPERSEDED)
    return RevokedCertificate(revocation=entry, not_after=not_after)


@pytest.mark.parametrize(
    ("revoked_at", "not_after", "previous", "listed"),
    [
        (UPDATE, UPDATE + DAY, None, True),
        (UPDATE, UPDATE + DAY, UPDATE + SECOND, True),
        # The certificate has ended, but no list since then has had the entry.
        (UPDATE, UPDATE + DAY, UPDATE + DAY, True),
        (UPDATE, UPDATE + DAY, UPDATE + DAY + SECOND, False),
        # Revoked after it ended: on one list.
        (UPDATE + 2 * DAY, UPDATE + DAY, UPDATE + 2 * DAY - SECOND, True),
        (UPDATE + 2 * DAY, UPDATE + DAY, UPDATE + 2 * DAY, True),
        (UPDATE + 2 * DAY, UPDATE + DAY, UPDATE + 2 * DAY + SECOND, False),
    ],
)
def test_entries_stay_for_one_list_after_the_certificate(
    revoked_at: datetime, not_after: datetime, previous: datetime | None, listed: bool
) -> None:
    one = certificate(4, revoked_at=revoked_at, not_after=not_after)
    assert entries_to_list([one], this_update=UPDATE + 9 * DAY, previous_update=previous) == (
        (one.revocation,) if listed else ()
    )


DAYS = st.integers(0, 40).map(lambda days: UPDATE + days * DAY)


@given(
    st.lists(st.tuples(DAYS, DAYS), max_size=6),
    st.lists(DAYS, min_size=1, max_size=12, unique=True).map(sorted),
)
def test_every_revocation_is_on_a_list_after_the_certificate_ended(
    times: list[tuple[datetime, datetime]], updates: list[datetime]
) -> None:
    known = [certificate(i + 1, revoked_at=at, not_after=end) for i, (at, end) in enumerate(times)]
    seen: dict[int, list[datetime]] = {one.revocation.serial: [] for one in known}
    previous: datetime | None = None
    for update in updates:
        due = [one for one in known if one.revocation.revoked_at <= update]
        entries = entries_to_list(due, this_update=update, previous_update=previous)
        assert entries == by_serial(entries)
        for entry in entries:
            seen[entry.serial].append(update)
        previous = update
    for one in known:
        since = [update for update in updates if update >= one.revocation.revoked_at]
        needed = [update for update in since if update <= one.not_after]
        after = [update for update in since if update > one.not_after][:1]
        assert seen[one.revocation.serial][: len(needed) + len(after)] == needed + after


def test_a_clock_that_ran_ahead_takes_nobody_off_the_list() -> None:
    one = certificate(4, revoked_at=UPDATE, not_after=UPDATE + 30 * DAY)
    ahead = UPDATE + 900 * DAY
    assert entries_to_list([one], this_update=UPDATE + DAY, previous_update=ahead) == (one.revocation,)


def test_reasons_are_named_as_rfc_5280_names_them() -> None:
    numbers = {
        "unspecified": 0,
        "keyCompromise": 1,
        "cACompromise": 2,
        "affiliationChanged": 3,
        "superseded": 4,
        "cessationOfOperation": 5,
        "privilegeWithdrawn": 9,
    }
    assert {reason.word: reason.value for reason in Reason} == numbers
    assert {word: parse_reason(word) for word in numbers} == {reason.word: reason for reason in Reason}


@pytest.mark.parametrize("word", ["", "keycompromise", "certificateHold", "removeFromCRL", "1", "aACompromise "])
def test_other_reasons_are_refused(word: str) -> None:
    with pytest.raises(InvalidRequest, match="expected a reason among unspecified, keyCompromise"):
        parse_reason(word)
