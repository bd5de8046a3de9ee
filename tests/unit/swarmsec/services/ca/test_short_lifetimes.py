"""Lives below an hour: allowed by settings that agree, without backdate, and named wherever somebody looks."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ca.identity import NodeRole
from swarmsec.config import parse_config
from swarmsec.errors import UsageProblem
from swarmsec.services.ca.authority_status import authority_status
from swarmsec.services.ca.list_certificates import list_certificates
from swarmsec.services.ca.short_lifetimes import FINDING_ID, short_lifetime_findings
from swarmsec.wiring.ca.authority import lifetime_of, served_lifetime_of
from tests.unit.swarmsec.services.desk import Desk, new_key


def settings(text: str) -> bytes:
    return b"format = 1\n[ca]\n" + text.encode()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("certificate_minutes = 4", "allow_short_lifetimes = true"),
        ("allow_short_lifetimes = false\ncertificate_minutes = 4", "allow_short_lifetimes = true"),
        ("allow_short_lifetimes = true\ncertificate_minutes = 1", "expected 2 to 59"),
        ("allow_short_lifetimes = true\ncertificate_minutes = 60", "expected 0 to 59"),
        ("allow_short_lifetimes = 1", "expected a value like false"),
        ('allow_short_lifetimes = "true"', "expected a value like false"),
        ("certificate_hours = true", "expected a value like 2160"),
    ],
)
def test_settings_that_do_not_agree_are_refused(text: str, said: str) -> None:
    with pytest.raises(UsageProblem, match=said):
        parse_config(settings(text), source="swarmsec.toml")


def test_what_renews_by_itself_lives_for_minutes_and_nothing_else() -> None:
    config = parse_config(settings("allow_short_lifetimes = true\ncertificate_minutes = 4"), source="swarmsec.toml")

    assert served_lifetime_of(config) == timedelta(minutes=4)
    assert lifetime_of(config) == timedelta(hours=2160)


def test_to_allow_alone_changes_nothing() -> None:
    config = parse_config(settings("allow_short_lifetimes = true"), source="swarmsec.toml")

    assert served_lifetime_of(config) == lifetime_of(config)


@pytest.mark.parametrize("minutes", [2, 59])
def test_it_begins_with_its_issue_and_its_entry_says_how_long(minutes: int, desk: Desk) -> None:
    desk.allow_minutes(minutes)
    before = desk.home.clock.unix_ms() // 1000

    record = desk.issue(NodeRole.WORKER, "n1", new_key())

    assert before <= record.not_before <= desk.home.clock.unix_ms() // 1000
    assert record.not_after - record.not_before == 60 * minutes
    assert desk.last_entry()["fields"]["lifetime_seconds"] == 60 * minutes


def test_an_hour_is_backdated_and_is_no_finding(desk: Desk) -> None:
    record = desk.issue(NodeRole.WORKER, "n1", new_key())

    assert record.not_before < desk.home.clock.unix_ms() // 1000 - 3500
    assert "lifetime_seconds" not in desk.last_entry()["fields"]
    assert short_lifetime_findings((), timedelta(hours=1)) == ()


def test_lists_and_status_name_them(desk: Desk) -> None:
    desk.issue(NodeRole.WORKER, "long", new_key())
    desk.allow_minutes(4)
    desk.issue(NodeRole.WORKER, "short", new_key())

    listed = desk.home.store.read(lambda transaction: list(list_certificates(transaction)))
    status = desk.home.store.read(authority_status)

    assert {item.record.subject_id: item.members()["short_lived"] for item in listed} == {"long": False, "short": True}
    assert status.short_lived == ["short"]


def test_the_finding_outlasts_the_setting(desk: Desk) -> None:
    (by_setting,) = short_lifetime_findings((), timedelta(minutes=4))
    (by_certificates,) = short_lifetime_findings([f"n{number}" for number in range(9)], timedelta(hours=1))

    assert by_setting.finding_id == by_certificates.finding_id == FINDING_ID
    assert "4 minutes" in by_setting.text
    assert by_certificates.text.endswith("n0, n1, n2, n3, n4 and 4 more")
