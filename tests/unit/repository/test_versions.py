"""What `pyproject.toml` says of versions of Python holds for the locks, the scripts, the pages and the source."""

from __future__ import annotations

import re

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tests.unit.repository.test_locks import LINUX, LOCKS, logical_lines
from tests.unit.repository.tree import modules, pyproject, texts

CLASSIFIER = re.compile(r"Programming Language :: Python :: (3\.[0-9]+)")
VERSIONS = [match[1] for text in pyproject()["project"]["classifiers"] if (match := CLASSIFIER.fullmatch(text))]


def minor(version: str) -> int:
    return int(version.removeprefix("3."))


def test_the_versions_begin_with_the_oldest_that_is_allowed_and_leave_none_out() -> None:
    numbers = [minor(version) for version in VERSIONS]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert SpecifierSet(pyproject()["project"]["requires-python"]) == SpecifierSet(f">={VERSIONS[0]}")


def test_the_tools_judge_by_the_oldest_version() -> None:
    tool = pyproject()["tool"]
    assert tool["ruff"]["target-version"] == f"py3{minor(VERSIONS[0])}"
    assert tool["mypy"]["python_version"] == VERSIONS[0]


@pytest.mark.parametrize("version", VERSIONS)
def test_each_version_is_looked_for_and_the_page_says_what_ran_on_it(version: str) -> None:
    assert f"python{version}" in texts()["scripts/make-venv"]
    section = texts()["docs/testing.md"].partition("## Versions of Python\n")[2].partition("\n## ")[0]
    assert re.search(rf"^\| {re.escape(version)}\.", section, re.MULTILINE)


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_is_the_same_for_each_version(name: str) -> None:
    for line in logical_lines(name):
        requirement = Requirement(line.split(" --hash", 1)[0])
        if requirement.marker is not None:
            taken = {
                requirement.marker.evaluate({**LINUX, "python_version": version, "python_full_version": f"{version}.0"})
                for version in VERSIONS
            }
            assert len(taken) == 1, line


def test_what_a_peer_s_certificate_must_be_is_nowhere_left_to_the_version() -> None:
    ours = {name: text for name, text in modules().items() if name.startswith("swarmsec/")}
    assert [name for name, text in ours.items() if "create_default_context" in text] == ["swarmsec/peertrust.py"]
    sessions = [call for text in ours.values() for call in re.findall(r"aiohttp[.]ClientSession\(([^)]*)", text)]
    assert sessions
    assert [call for call in sessions if "connector=" not in call] == []
