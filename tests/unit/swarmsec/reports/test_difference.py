"""Two reports are compared by what they were held against; what is no report is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from swarmsec.errors import UsageProblem
from swarmsec.reports.difference import (
    Trend,
    compare_reports,
    load_report,
    render_moves_json,
    render_moves_text,
)
from swarmsec.reports.json_report import render_json
from swarmsec.reports.model import State
from tests.unit.swarmsec.reports.facts import container, report, swarm


def spoiled() -> dict[str, Any]:
    answers = swarm()
    container(answers).update(User="root")
    return answers


def moves(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[str, str | None, str | None]]:
    former = load_report(render_json(report(before)))
    return {
        f"{move.check_id} {move.label}": (move.trend.value, _word(move.before), _word(move.after))
        for move in compare_reports(former, report(after))
    }


def _word(state: State | None) -> str | None:
    return None if state is None else state.value


def test_nothing_moves_between_equal_reports() -> None:
    assert moves(swarm(), swarm()) == {}


def test_what_fails_now_is_worse_and_what_passes_again_is_better() -> None:
    assert moves(swarm(), spoiled()) == {"CIS-4.1 service shop_api": ("worse", "pass", "fail")}
    assert moves(spoiled(), swarm()) == {"CIS-4.1 service shop_api": ("better", "fail", "pass")}


def test_what_could_not_be_read_this_time_is_worse() -> None:
    found = moves(swarm(), {**swarm(), "/networks": "broken"})

    assert found["CIS-7.3 swarm"] == ("worse", None, "error")
    assert found["CIS-7.3 network back"] == ("changed", "pass", None)


def test_a_failure_that_went_with_its_resource_is_better() -> None:
    gone = {**spoiled(), "/services": []}

    assert moves(spoiled(), gone)["CIS-4.1 service shop_api"] == ("better", "fail", None)


def test_the_worse_come_first_and_both_forms_say_the_same() -> None:
    former = load_report(render_json(report(swarm())))
    found = compare_reports(former, report(spoiled()))

    text = render_moves_text(former, found).decode()
    document = json.loads(render_moves_json(former, found))
    assert text.splitlines()[0].endswith("1 worse, 0 better, 0 changed")
    assert "CIS-4.1 service shop_api: pass -> fail" in text
    assert [item["trend"] for item in document["moves"]] == [Trend.WORSE.value]


def test_reports_of_different_homes_are_not_compared() -> None:
    former = load_report(render_json(report(swarm(), store_id="another")))

    with pytest.raises(UsageProblem, match="expected two reports of the same home and profile"):
        compare_reports(former, report(swarm()))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"schema_version": 2}',
        b"[" * 100_000,
        render_json(report()).replace(b'"status": "pass"', b'"status": "fine"'),
        render_json(report()).replace(b'"check_id": "OWN-1"', b'"check_id": 1'),
    ],
    ids=lambda data: repr(data[:24]),
)
def test_what_is_no_report(data: bytes) -> None:
    with pytest.raises(UsageProblem, match="expected a report in JSON of schema version 1"):
        load_report(data)
