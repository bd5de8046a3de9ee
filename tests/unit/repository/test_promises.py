"""docs/testing.md says which test holds which promise; each of these tests exists."""

from __future__ import annotations

import re

import pytest

from tests.unit.repository.tree import ROOT, texts

PAGE = "docs/testing.md"
_TEST = re.compile(r"`(tests/[a-z_0-9/]+\.py)::(test_[a-z_0-9]+)`")
_VARIABLE = re.compile(r"\bSWARMSEC_[A-Z]+\b")
_ROW = re.compile(r"^\| (?P<number>[^|]+) \| (?P<promise>[^|]+) \| (?P<tests>[^|]+) \|$", re.MULTILINE)


def rows() -> list[tuple[str, str]]:
    """The number and the tests of each row below the headings of promises."""
    page = (ROOT / PAGE).read_text()
    part = page.partition("## Promises of the secret store")[2].partition("\n## Crash tests")[0]
    found = [(match["number"].strip(), match["tests"]) for match in _ROW.finditer(part)]
    return [row for row in found if row[0] not in {"---", "number"}]


def test_both_tables_are_there() -> None:
    numbers = [number for number, _ in rows()]
    assert {str(number) for number in range(1, 16)} - {"11", "14"} <= set(numbers)
    assert {"28, 49, 52", "145", "78, 109", "7, 103", "94", "71", "131"} <= set(numbers)


@pytest.mark.parametrize(("number", "tests"), rows(), ids=lambda value: str(value)[:24])
def test_each_row_names_tests_that_exist(number: str, tests: str) -> None:
    named = _TEST.findall(tests)
    assert named, f"row {number} names no test"
    for path, name in named:
        assert f"def {name}(" in texts()[path], f"row {number}: {path} has no {name}"


def test_bug_94_every_variable_that_the_program_reads_is_documented() -> None:
    read = {name for path, text in texts().items() if path.startswith("swarmsec/") for name in _VARIABLE.findall(text)}
    told = {name for path, text in texts().items() if path.startswith("docs/") for name in _VARIABLE.findall(text)}
    assert {"SWARMSEC_HOME", "SWARMSEC_STATE", "SWARMSEC_TOKEN"} <= read <= told
