"""Waivers close what they name and nothing else, and whatever is odd about them is said."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from policies.waivers import Attestation, Scope, Waiver, WaiverSet
from swarmsec.reports.html_report import render_html
from swarmsec.reports.json_report import render_json
from swarmsec.reports.junit_report import render_junit
from swarmsec.reports.markdown_report import render_markdown
from swarmsec.reports.model import Report, State
from swarmsec.reports.sarif_report import render_sarif
from swarmsec.reports.text_report import render_text
from swarmsec.reports.waiving import LOG_CONTROL, Waived, apply_waivers
from tests.unit.swarmsec.reports.facts import DAY, NOW, catalogue, container, report, results, states, swarm

WAIVER = Waiver(
    id="w1",
    control="",
    scope=Scope(type="service", name="shop_api"),
    owner="ops@example.com",
    reason="the vendor has no digest",
    ticket="OPS-1",
    created=NOW - DAY,
    expires=NOW + DAY,
)
ATTESTATION = Attestation(
    id="a1",
    control="SWS-17",
    scope=Scope(type="swarm"),
    owner="ops@example.com",
    statement="m1 was unlocked",
    evidence="b" * 64,
    created=NOW - DAY,
    expires=NOW + DAY,
)


def bad() -> Report:
    """Two services as root: the second one is an equal of the first in everything but its name."""
    answers = swarm()
    container(answers)["User"] = "root"
    twin = json.loads(json.dumps(answers["/services"][0]))
    twin["ID"], twin["Spec"]["Name"] = "svc2", "shop_api2"
    answers["/services"].append(twin)
    return report(answers)


def control_of_root() -> str:
    """The control that both services fail, and nothing else does."""
    made = bad()
    failing = [r.control.id for r in made.results if r.state is State.FAIL and r.resource.name == "shop_api2"]
    assert failing
    return failing[0]


CONTROL = control_of_root()
WAIVER = replace(WAIVER, control=CONTROL)


def waived(*waivers: Waiver, of: Report | None = None, attestations: tuple[Attestation, ...] = ()) -> Waived:
    given = WaiverSet(waivers=waivers, attestations=attestations)
    return apply_waivers(of or bad(), given, catalogue().controls, now=NOW)


def test_one_thing_is_waived_and_its_twin_is_not() -> None:
    made = waived(WAIVER)
    found = {result.resource.name: result for result in results(made.report, CONTROL)}

    assert found["shop_api"].state is State.WAIVED
    assert found["shop_api"].waiver_id == "w1"
    assert (
        "ops@example.com answers for it until 2027-01-16: the vendor has no digest (OPS-1)" in found["shop_api"].reason
    )
    assert found["shop_api2"].state is State.FAIL
    assert (made.expired, made.report.notices) == ((), ())
    assert made.report.counts[State.FAIL] == bad().counts[State.FAIL] - 1


@pytest.mark.parametrize("expires", [NOW, NOW - 1])
def test_an_expired_one_waives_nothing(expires: int) -> None:
    made = waived(replace(WAIVER, expires=expires))

    assert states(made.report, CONTROL) == [State.FAIL, State.FAIL]
    assert made.expired == ("w1",)
    assert "waiver w1 of ops@example.com expired on 2027-01-15" in results(made.report, CONTROL)[0].reason
    assert any("expired" in notice for notice in made.report.notices)


def test_one_that_is_not_yet_in_force() -> None:
    made = waived(replace(WAIVER, created=NOW + 1))

    assert states(made.report, CONTROL) == [State.FAIL, State.FAIL]
    assert "not in force" in made.report.notices[0]


def test_a_renewed_one_counts_beside_the_expired() -> None:
    made = waived(replace(WAIVER, id="w0", expires=NOW), WAIVER)

    assert [result.waiver_id for result in results(made.report, CONTROL)] == ["w1", ""]
    assert made.expired == ("w0",)


@pytest.mark.parametrize(
    ("scope", "control", "said"),
    [
        (Scope(type="service", name="shop"), CONTROL, "found nowhere"),
        (Scope(type="service", name="shop_api", id="svc2"), CONTROL, "found nowhere"),
        (Scope(type="network", name="shop_api"), CONTROL, "found nowhere"),
        (Scope(type="service", name="shop_api", cluster="other"), CONTROL, "found nowhere"),
        (Scope(type="service", name="shop_api"), "OWN-999", "no control"),
        (Scope(type="home"), LOG_CONTROL, "nobody can waive"),
    ],
)
def test_one_that_is_about_nothing_here(scope: Scope, control: str, said: str) -> None:
    made = waived(replace(WAIVER, scope=scope, control=control))

    assert made.report.results == bad().results
    assert said in made.report.notices[0]


def test_the_log_s_own_wholeness_is_never_waived() -> None:
    broken = report(swarm(), log_problem="entry 7 was changed")
    (result,) = results(broken, LOG_CONTROL)
    scope = Scope(type=result.resource.type, name=result.resource.name, id=result.resource.id)
    made = waived(replace(WAIVER, control=LOG_CONTROL, scope=scope), of=broken)

    assert states(made.report, LOG_CONTROL) == [State.FAIL]


def test_what_is_good_needs_no_waiver() -> None:
    made = waived(WAIVER, of=report(swarm()))

    assert State.WAIVED not in states(made.report, CONTROL)
    assert "not needed" in made.report.notices[0]


def test_what_could_not_be_read_is_not_waived() -> None:
    unread = [replace(r, state=State.ERROR) if r.control.id == CONTROL else r for r in bad().results]
    made = waived(WAIVER, of=replace(bad(), results=tuple(unread)))

    assert states(made.report, CONTROL) == [State.ERROR, State.ERROR]
    assert made.report.is_incomplete


def test_an_attestation_closes_what_only_a_person_can_tell() -> None:
    made = waived(attestations=(ATTESTATION,))
    (result,) = results(made.report, "SWS-17")

    assert states(bad(), "SWS-17") == [State.MANUAL]
    assert result.state is State.PASS
    assert "attested by ops@example.com on 2027-01-14: m1 was unlocked" in result.observed
    assert [item.sha256 for item in result.evidence] == ["b" * 64]


def test_an_attestation_ends_and_closes_no_failure() -> None:
    ended = waived(attestations=(replace(ATTESTATION, expires=NOW),))
    other = waived(attestations=(replace(ATTESTATION, control=CONTROL, scope=WAIVER.scope),))

    assert states(ended.report, "SWS-17") == [State.MANUAL]
    assert ended.expired == ()
    assert other.report.results == bad().results


@pytest.mark.parametrize("render", [render_text, render_json, render_html, render_markdown, render_sarif, render_junit])
def test_every_format_keeps_what_was_waived(render: object) -> None:
    hostile = "<script>alert(1)</script>"
    made = waived(replace(WAIVER, reason=hostile), replace(WAIVER, id="w2", control="OWN-999")).report
    data = render(made)  # type: ignore[operator]  # one of the renderers
    text = data.decode()

    assert "vendor" not in text
    assert "alert" in text
    if render in {render_html, render_markdown, render_junit}:
        assert hostile not in text
    if render is not render_junit:
        assert "no control" in text
    if render is render_sarif:
        suppressed = [r for r in json.loads(text)["runs"][0]["results"] if "suppressions" in r]
        assert [r["suppressions"][0]["status"] for r in suppressed] == ["accepted"]
