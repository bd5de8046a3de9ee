"""The report as metrics: read back by Prometheus's own parser, and nothing there that was not read."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from policies.waivers import Scope, Waiver, WaiverSet
from swarmsec.reports.model import Report
from swarmsec.reports.prometheus_report import render_prometheus
from swarmsec.reports.waiving import apply_waivers
from tests.unit.swarmsec.reports.facts import DAY, NOW, catalogue, container, report, swarm

CONTROL = "CIS-7.4"
WAIVER = Waiver(
    id="w1",
    control=CONTROL,
    scope=Scope(type="service", name="shop_api"),
    owner="ops@example.com",
    reason="the vendor reads no files",
    ticket="",
    created=NOW - DAY,
    expires=NOW + 20 * DAY,
)


def waived_report(*waivers: Waiver) -> Report:
    """Two services with a credential in the environment; without other waivers, the first is waived."""
    answers = swarm()
    container(answers)["Env"] = ["DB_PASSWORD=correct-horse"]
    answers["/services"] += swarm()["/services"]
    answers["/services"][1]["ID"], answers["/services"][1]["Spec"]["Name"] = "svc2", "shop_web"
    answers["/services"][1]["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"] = ["API_TOKEN=correct-horse"]
    given = WaiverSet(waivers=waivers or (WAIVER,))
    return apply_waivers(report(answers), given, catalogue().controls, now=NOW).report


def samples(made: Report) -> list[Sample]:
    families = text_string_to_metric_families(render_prometheus(made).decode())
    return [sample for family in families for sample in family.samples]


def values(made: Report, name: str) -> list[float]:
    return [sample.value for sample in samples(made) if sample.name == name]


def waivers_of(made: Report) -> dict[str, float]:
    name = "swarmsec_waivers_expiring_timestamp_seconds"
    return {sample.labels["control"]: sample.value for sample in samples(made) if sample.name == name}


def test_every_result_is_counted_under_its_control() -> None:
    made = waived_report()
    found = {
        (sample.labels["control"], sample.labels["status"], sample.labels["severity"]): sample.value
        for sample in samples(made)
        if sample.name == "swarmsec_check_results"
    }

    assert found == Counter((r.control.id, r.state.value, r.control.severity.value) for r in made.results)
    assert found[CONTROL, "waived", "high"] == found[CONTROL, "fail", "high"] == 1


def test_no_name_and_no_value_of_the_swarm_is_in_it() -> None:
    text = render_prometheus(waived_report()).decode()

    assert "shop" not in text
    assert "PASSWORD" not in text
    assert "correct-horse" not in text
    assert "ops@" not in text


def test_it_says_when_the_first_waived_failure_is_one_again() -> None:
    other = replace(WAIVER, id="w2", scope=Scope(type="service", name="shop_web"), expires=NOW + 3 * DAY)

    assert waivers_of(waived_report()) == {CONTROL: NOW + 20 * DAY}
    assert waivers_of(waived_report(WAIVER, other)) == {CONTROL: NOW + 3 * DAY}
    assert waivers_of(waived_report(other, WAIVER)) == {CONTROL: NOW + 3 * DAY}
    assert waivers_of(waived_report(replace(WAIVER, expires=NOW))) == {}
    assert waivers_of(waived_report(replace(WAIVER, created=NOW + 1))) == {}


@pytest.mark.parametrize("is_first", [True, False])
def test_a_renewed_waiver_counts_before_the_old_one_ends(is_first: bool) -> None:
    renewed = replace(WAIVER, id="w2", expires=NOW + 90 * DAY)
    made = waived_report(*((renewed, WAIVER) if is_first else (WAIVER, renewed)))

    assert waivers_of(made) == {CONTROL: NOW + 90 * DAY}
    assert [result.waiver_id for result in made.results if result.waiver_id] == ["w2"]


@pytest.mark.parametrize(("lost", "margin"), [(0, 1), (1, 0), (2, -1)])
def test_the_margin_of_the_quorum(lost: int, margin: int) -> None:
    answers = swarm()
    for node in answers["/nodes"][:lost]:
        node["ManagerStatus"]["Reachability"] = "unreachable"

    assert values(report(answers), "swarmsec_swarm_quorum_margin") == [margin]


def test_a_swarm_that_was_not_read_has_no_margin() -> None:
    answers = swarm()
    del answers["/nodes"]

    assert "quorum" not in render_prometheus(report()).decode()
    assert "quorum" not in render_prometheus(report(answers)).decode()


def test_it_says_when_it_was_made() -> None:
    made = report(swarm())

    (created,) = values(made, "swarmsec_report_timestamp_seconds")
    assert created == datetime.fromisoformat(made.created).timestamp()
