"""Reports for machines, read by programs that others wrote: SARIF by the standard's schema, JUnit as CI reads it,
metrics as Prometheus does.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from pydantic import ValidationError
from pydantic_sarif.model import (  # type: ignore[import-untyped]  # it ships no types
    StaticAnalysisResultsFormatSarifVersion210JsonSchema as Sarif,
)

from swarmsec.reports.junit_report import render_junit
from swarmsec.reports.model import Report, State
from swarmsec.reports.prometheus_report import render_prometheus
from swarmsec.reports.sarif_report import render_sarif
from tests.unit.swarmsec.reports.facts import report, swarm
from tests.unit.swarmsec.reports.test_formats import HOSTILE, hostile_report
from tests.unit.swarmsec.reports.test_schema import REPORTS

JUNITPARSER = "/usr/bin/junitparser"
PROMTOOL = "/usr/bin/promtool"


@pytest.mark.parametrize("name", REPORTS)
def test_sarif_is_what_its_schema_says(name: str) -> None:
    made = REPORTS[name]()
    read = _by_schema(render_sarif(made))

    assert len(read.runs[0].results) == len(made.results)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:24])
def test_sarif_of_hostile_names_is_too(text: str) -> None:
    _by_schema(render_sarif(hostile_report(text)))


def test_the_schema_would_tell() -> None:
    document = json.loads(render_sarif(report(swarm())))
    document["runs"][0]["results"][0]["kind"] = "unheard of"

    with pytest.raises(ValidationError, match="kind"):
        Sarif.model_validate(document)


@pytest.mark.parametrize("name", REPORTS)
def test_junit_is_read_and_judged_as_ci_does(name: str, tmp_path: Path) -> None:
    made = REPORTS[name]()

    assert _verified(made, tmp_path) == any(result.state in {State.FAIL, State.ERROR} for result in made.results)
    merged = tmp_path / "merged.xml"
    command = [JUNITPARSER, "merge", str(tmp_path / "report.xml"), str(merged)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    root = ElementTree.fromstring(merged.read_bytes())
    assert int(root.attrib["tests"]) == len(made.results)
    assert int(root.attrib["errors"]) == made.counts[State.ERROR]
    assert int(root.attrib["failures"]) == made.counts[State.FAIL]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:24])
def test_junit_of_hostile_names_is_too(text: str, tmp_path: Path) -> None:
    assert _verified(hostile_report(text), tmp_path)


@pytest.mark.parametrize("name", REPORTS)
def test_promtool_finds_nothing_to_mend_in_metrics(name: str) -> None:
    made = render_prometheus(REPORTS[name]())
    done = subprocess.run([PROMTOOL, "check", "metrics"], input=made, capture_output=True, timeout=60, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def _by_schema(data: bytes) -> Any:
    """Read strictly. The model is of the last draft, which called ``state`` what the standard calls ``status``
    (SARIF 2.1.0, 3.35.4); everything else of it is as it was published.
    """
    text = data.decode().replace('"status": "accepted"', '"state": "accepted"')
    return Sarif.model_validate_json(text)


def _verified(made: Report, directory: Path) -> bool:
    """Whether a reader says that something failed."""
    path = directory / "report.xml"
    path.write_bytes(render_junit(made))
    done = subprocess.run([JUNITPARSER, "verify", str(path)], capture_output=True, timeout=60, check=False)
    assert done.stderr == b"", done.stderr
    return done.returncode != 0
