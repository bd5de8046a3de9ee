"""Every JSON report is what the shipped schema says, and the schema refuses what is none."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from importlib import resources
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types

from policies.controls import Severity
from policies.waivers import Scope, Waiver, WaiverSet
from swarmsec.reports.facts import Answer, Facts
from swarmsec.reports.json_report import document_of, render_json
from swarmsec.reports.model import Report, State
from swarmsec.reports.waiving import apply_waivers
from tests.unit.swarmsec.reports.facts import DAY, NOW, catalogue, container, facts, report, report_of, swarm

SCHEMA: dict[str, Any] = json.loads(resources.files("swarmsec.reports").joinpath("report.schema.json").read_bytes())
SCHEMA_OF_RESULT = SCHEMA["$defs"]["result"]["properties"]


def validator() -> Draft202012Validator:
    Draft202012Validator.check_schema(SCHEMA)
    return Draft202012Validator(SCHEMA)


def waived() -> Report:
    """A report with a failure that somebody answers for, and with a waiver of nothing."""
    answers = swarm()
    container(answers)["Image"] = "shop/api:1"
    found: dict[str, Any] = {"owner": "ops", "reason": "soon", "ticket": "", "created": NOW - DAY, "expires": NOW + DAY}
    scope = Scope(type="service", name="shop_api")
    waivers = tuple(Waiver(id=name, control=name, scope=scope, **found) for name in ("SWS-04", "OWN-999"))
    return apply_waivers(report(answers), WaiverSet(waivers=waivers), catalogue().controls, now=NOW).report


def half_read() -> Report:
    """A report over a Swarm that did not answer everything."""
    known = facts(swarm())
    answers = {**(known.answers or {}), "/services": Answer(problem="not for you")}
    return report_of(Facts(home=known.home, answers=answers))


def hostile() -> Report:
    """A report over a service with no name that a schema would like."""
    answers = swarm()
    answers["/services"][0]["Spec"]["Name"] = "<b>\x00\u202e\ud800"
    container(answers)["Image"] = ""
    return report(answers)


REPORTS: dict[str, Callable[[], Report]] = {
    "the home alone": report,
    "a Swarm": lambda: report(swarm()),
    "nothing to look at": lambda: report(
        {**swarm(), "/services": [], "/networks": [], "/secrets": [], "/configs": []}, checkpoint="", cluster_id=""
    ),
    "waived": waived,
    "half read": half_read,
    "hostile": hostile,
}


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_is_valid(name: str) -> None:
    document = json.loads(render_json(REPORTS[name]()))

    assert [f"{error.json_path}: {error.message}" for error in validator().iter_errors(document)] == []


def test_they_show_every_state() -> None:
    assert {result.state for make in REPORTS.values() for result in make().results} == set(State)


def test_its_words_are_ours() -> None:
    assert SCHEMA_OF_RESULT["status"]["enum"] == [state.value for state in State]
    assert SCHEMA["properties"]["summary"]["required"] == [state.value for state in State]
    assert SCHEMA_OF_RESULT["severity"]["enum"] == [severity.value for severity in Severity]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.pop("log"),
        lambda d: d.update(more=1),
        lambda d: d.update(schema_version=2),
        lambda d: d.update(created="2027-01-15 08:00"),
        lambda d: d["summary"].pop("error"),
        lambda d: d["results"][0].pop("observed"),
        lambda d: d["results"][0].update(observed=""),
        lambda d: d["results"][0].update(status="PASS"),
        lambda d: d["results"][0].update(status="waived", waiver_id=None),
        lambda d: d["results"][0].update(status="pass", waiver_id="w1"),
        lambda d: d["results"][0].update(status="error", reason=None),
        lambda d: d["results"][0].update(severity="bad"),
        lambda d: d["results"][0].update(fingerprint="x"),
        lambda d: d["results"][0].update(evidence=[{"source": "s", "query": "q", "sha256": "short"}]),
    ],
)
def test_what_is_no_report(spoil: Callable[[dict[str, Any]], object]) -> None:
    document = copy.deepcopy(document_of(report(swarm())))
    assert validator().is_valid(document)
    spoil(document)

    assert not validator().is_valid(document)
