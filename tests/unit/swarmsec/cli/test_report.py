"""``audit report``: formats, exit codes, and what it leaves in the log."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.unit.swarmsec.cli.program import Program


def test_a_report_on_the_home_alone(program: Program) -> None:
    text = program.good("audit", "report", "--no-swarm").out
    document = program.good("--json", "audit", "report", "--no-swarm").document

    assert "SWS-12 Backups are made" in text
    assert document["profile"] == "swarmsec-baseline"
    assert document["summary"]["error"] == 0


def test_its_digest_is_in_the_log(program: Program, tmp_path: Path) -> None:
    program.good("audit", "report", "--no-swarm", "--format", "html", "-o", "report.html")

    entry = json.loads(program.good("audit", "log", "--json", "--action", "audit.report").out)
    assert entry["fields"]["sha256"] == hashlib.sha256((tmp_path / "report.html").read_bytes()).hexdigest()
    assert program.good("audit", "verify", "--json").document["ok"]


@pytest.mark.parametrize("chosen", ["json", "sarif", "junit", "html", "markdown"])
def test_the_same_inputs_give_the_same_bytes(chosen: str, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    made = program.good("audit", "report", "--no-swarm", "--format", chosen).out

    assert "2023-11-14T22:13:20" in made
    if chosen == "junit":
        ElementTree.fromstring(made)


def test_metrics_are_for_another_account_to_read(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    call = ("audit", "report", "--no-swarm", "--format")
    program.good(*call, "prometheus", "-o", "swarmsec.prom")
    program.good(*call, "json", "-o", "report.json")
    made = program.directory / "swarmsec.prom"

    assert made.read_text() == program.good(*call, "prometheus").out
    assert "swarmsec_report_timestamp_seconds 1.7e+09" in made.read_text()
    assert 'swarmsec_check_results{control="SWS-12",severity="high",status="fail"} 1.0' in made.read_text()
    assert "quorum" not in made.read_text()
    assert made.stat().st_mode & 0o777 == 0o644
    assert (program.directory / "report.json").stat().st_mode & 0o777 == 0o600
    assert program(*call, "prometheus", "--since", "report.json", "--diff").code == 2


def test_codes(program: Program) -> None:
    assert program("audit", "report", "--no-swarm", "--fail-on", "high").code == 1
    assert program("audit", "report", "--no-swarm", "--fail-on", "critical").code == 0
    assert program("audit", "report", "--docker", "unix:///nowhere.sock").code == 3
    assert program("audit", "report", "--docker", "unix:///nowhere.sock", "--allow-incomplete").code == 0
    assert program("audit", "report", "--no-swarm", "--profile", "nothing").code == 2


def test_a_profile_of_one_s_own(program: Program) -> None:
    name = program.write("own.yaml", "apiVersion: swarmsec.dev/v1\nkind: ReportProfile\ncontrols: [OWN-9]\n")
    document = program.good("--json", "audit", "report", "--no-swarm", "--profile", name).document

    assert [(item["check_id"], item["status"]) for item in document["results"]] == [("OWN-9", "pass")]


def test_a_date_that_cannot_be_meant(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    assert program("audit", "report", "--no-swarm").code == 2


def waiver_file(program: Program, expires: str) -> str:
    """A waiver of the backup that was never made."""
    created = datetime.fromisoformat(expires) - timedelta(days=365)
    return program.write(
        "waivers.yaml",
        "apiVersion: swarmsec.dev/v1\nkind: WaiverSet\nwaivers:\n"
        f"  - {{id: w1, control: SWS-12, scope: {{type: home}}, owner: ops, reason: soon,"
        f' created: "{created:%Y-%m-%d}", expires: "{expires}"}}\n',
    )


def test_waivers(program: Program) -> None:
    profile = program.write("own.yaml", "apiVersion: swarmsec.dev/v1\nkind: ReportProfile\ncontrols: [SWS-12]\n")
    call = ("--json", "audit", "report", "--no-swarm", "--profile", profile, "--waivers", "waivers.yaml")
    name = waiver_file(program, f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}")
    good = program.good(*call, "--strict-waivers", "--fail-on", "high")

    assert [(item["status"], item["waiver_id"]) for item in good.document["results"]] == [("waived", "w1")]
    entry = json.loads(program.good("audit", "log", "--json", "--action", "audit.report").out)
    assert (
        f"waivers {hashlib.sha256((program.directory / name).read_bytes()).hexdigest()}" in entry["fields"]["evidence"]
    )

    waiver_file(program, f"{datetime.now(UTC):%Y-%m-%d}")
    assert program(*call).code == 0
    assert program(*call, "--strict-waivers").code == 5
    assert program(*call, "--strict-waivers", "--fail-on", "high").code == 1
    nowhere = ("--docker", "unix:///nowhere.sock")
    assert program("audit", "report", *nowhere, "--waivers", name, "--strict-waivers").code == 5
    assert "w1 of ops expired on" in program(*call, "-o", "report.json").err


def test_waivers_that_cannot_be_meant(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    assert program("audit", "report", "--no-swarm", "--strict-waivers").code == 2
    assert program("audit", "report", "--no-swarm", "--waivers", "nowhere.yaml").code == 2
    assert program("audit", "report", "--no-swarm", "--waivers", program.write("w", "kind: WaiverSet\n")).code == 2

    name = waiver_file(program, "2024-01-01")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    answer = program("audit", "report", "--no-swarm", "--waivers", name, "--strict-waivers")
    assert answer.code == 5, "the clock says whether a waiver has expired, not a variable"


def test_what_moved_since_an_earlier_report(program: Program) -> None:
    program.good("audit", "report", "--no-swarm", "--format", "json", "-o", "before.json")
    program.good("backup", "authority.age")

    text = program.good("audit", "report", "--no-swarm", "--since", "before.json", "--diff").out
    document = program.good("--json", "audit", "report", "--no-swarm", "--since", "before.json", "--diff").document
    whole = program.good("audit", "report", "--no-swarm", "--since", "before.json")

    assert "SWS-12 home" in text
    assert [(move["trend"], move["check_id"]) for move in document["moves"]] == [("better", "SWS-12")]
    assert "1 results moved" in whole.err
    assert "swarmsec-baseline" in whole.out


def test_what_cannot_be_compared_ends_with_2(program: Program) -> None:
    name = program.write("other.json", "{}")

    assert program("audit", "report", "--no-swarm", "--diff").code == 2
    assert program("audit", "report", "--no-swarm", "--since", name, "--diff").code == 2
    assert program("audit", "report", "--no-swarm", "--since", name, "--diff", "--format", "html").code == 2
