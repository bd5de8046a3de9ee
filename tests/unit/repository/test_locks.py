"""The hash-locked requirements: complete, hashed line by line, and free of any address."""

from __future__ import annotations

import re
from functools import cache

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.unit.repository.tree import ROOT, pyproject

LOCKS = ("runtime", "postgresql", "hsm", "build", "dev", "lock")
LINUX = {"sys_platform": "linux", "os_name": "posix", "platform_system": "Linux"}
HASHED = re.compile(r"(?P<requirement>[^\\]+?)(?P<hashes>(?: --hash=sha256:[0-9a-f]{64})+)")


@cache
def logical_lines(name: str) -> tuple[str, ...]:
    """The requirement lines of a lock, continuation lines joined, comments dropped."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    kept = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return tuple(re.sub(r" *\\\n +", " ", kept).splitlines())


@cache
def pins(name: str) -> dict[str, str]:
    """Canonical name to exact version of everything a lock installs on Linux."""
    requirements = [Requirement(line.split(" --hash", 1)[0]) for line in logical_lines(name)]
    return {
        canonicalize_name(requirement.name): str(requirement.specifier).removeprefix("==")
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate(LINUX)
    }


def wanted(name: str) -> list[Requirement]:
    """What pyproject.toml asks of a lock."""
    project, groups = pyproject()["project"], pyproject()["dependency-groups"]
    extras = project["optional-dependencies"]
    plain = [entry for entry in groups["dev"] if isinstance(entry, str)]
    texts = {
        "runtime": project["dependencies"],
        "postgresql": [*project["dependencies"], *extras["postgresql"]],
        "hsm": [*project["dependencies"], *extras["hsm"]],
        "build": [*groups["build"], *pyproject()["build-system"]["requires"]],
        "dev": [*project["dependencies"], *extras["postgresql"], *extras["hsm"], *groups["build"], *plain],
        "lock": groups["lock"],
    }
    return [Requirement(text) for text in texts[name]]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_what_pyproject_asks_for(name: str) -> None:
    missing = [
        str(requirement)
        for requirement in wanted(name)
        if not requirement.specifier.contains(pins(name).get(canonicalize_name(requirement.name), "0"))
    ]
    assert missing == []


@pytest.mark.parametrize("name", LOCKS)
def test_every_line_is_one_exact_version_with_hashes(name: str) -> None:
    for line in logical_lines(name):
        match = HASHED.fullmatch(line)
        assert match, line
        requirement = Requirement(match["requirement"])
        assert requirement.url is None
        assert [specifier.operator for specifier in requirement.specifier] == ["=="]


@pytest.mark.parametrize("name", LOCKS)
def test_no_lock_names_an_index_or_a_path(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    assert re.findall(r"://|index-url|find-links|trusted-host|^-|(?<=\s)/\S+", text, re.MULTILINE) == []


@pytest.mark.parametrize("name", ["runtime", "postgresql", "hsm", "build"])
def test_development_tests_what_users_install(name: str) -> None:
    assert pins(name).items() <= pins("dev").items()


def test_users_install_no_test_tool() -> None:
    assert {"pytest", "mypy", "ruff", "hypothesis", "hatchling"}.isdisjoint(pins("runtime"))


def test_markers_are_understood() -> None:
    # The pins of other platforms are in the files; on Linux they do not count.
    assert not Marker("sys_platform == 'win32'").evaluate(LINUX)
    assert "pywin32" not in pins("runtime")
