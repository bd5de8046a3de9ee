"""Each part's share of the tests can be told: every pattern of tests/parts.toml fits, and the sums are right."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.unit.repository.tree import ROOT, files

SCRIPT = ROOT / "scripts" / "test-shares"
PARTS = tomllib.loads((ROOT / "tests" / "parts.toml").read_text())
TESTS = [path for file in files() if fnmatchcase(path := file.relative_to(ROOT).as_posix(), "tests/*/test_*.py")]
SUITE = '<testsuites><testsuite name="pytest" time="{took}">{cases}</testsuite></testsuites>'
CASE = '<testcase classname="{module}" name="test_it" time="{time}"/>'


def report(path: Path, *, took: float, tests: dict[str, float]) -> Path:
    """A report of a run in JUnit's format, of tests by their module."""
    cases = "".join(CASE.format(module=module, time=time) for module, time in tests.items())
    path.write_text(SUITE.format(took=took, cases=cases))
    return path


def run(*reports: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *reports], check=False, capture_output=True, text=True)


@pytest.mark.parametrize("pattern", [pattern for part in PARTS.values() for pattern in part["files"]])
def test_each_pattern_fits_a_test(pattern: str) -> None:
    assert any(fnmatchcase(path, pattern) for path in TESTS)


def test_every_test_belongs_to_a_part_and_the_last_part_takes_what_is_left() -> None:
    assert list(PARTS)[-1] == "foundation"
    assert [part["files"] for part in PARTS.values() if "*" in part["files"]] == [["*"]]


def test_a_part_is_charged_for_its_share_of_the_time_that_the_run_took(tmp_path: Path) -> None:
    beside = report(
        tmp_path / "a.xml",
        took=120,
        tests={"tests.unit.ca.test_pem": 180, "tests.unit.notary.test_roles.TestRoles": 60},
    )
    alone = report(tmp_path / "b.xml", took=60, tests={"tests.swarm.test_adopted": 60})
    lines = [line.split() for line in run(beside, alone).stdout.splitlines()]
    assert lines[1] == ["CA", "1.5"]
    assert ["Swarm", "1.0"] in lines
    assert ["Trust", "0.5"] in lines
    assert ["together", "3.0"] in lines
    assert ["tests/unit/notary/test_roles.py", "0.5"] in lines


@pytest.mark.parametrize("content", [None, "", "<a", "<testsuite/>", '<testsuite time="soon"/>'])
def test_what_is_no_report_is_said_in_words(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "c.xml"
    if content is not None:
        path.write_text(content)
    ran = run(path)
    assert ran.returncode == 2
    assert ran.stderr.startswith(f"{path} cannot be read as a report of tests: ")
    assert "Traceback" not in ran.stderr
