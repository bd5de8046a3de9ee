"""``audit report``: formats, exit codes, and what it leaves in the log."""

from __future__ import annotations

import hashlib
import json
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
