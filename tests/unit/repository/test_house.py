"""House rules that no linter knows, held over every tracked file.

The forbidden words are put together from pieces, so that this module does not break its own rules.
"""

from __future__ import annotations

import ast
import re
from itertools import chain

import pytest

from tests.unit.repository.tree import PACKAGES, ROOT, files, modules, pyproject, texts

LONGEST_MODULE = 400

MACHINE_PATH = re.compile(r"(?<![\w.{}<>$*-])/(?:work|root|home)/[\w.]")
PACKAGE_INDEX = re.compile(r"pypi[.]org|pythonhosted[.]org|npmjs[.]|(?:extra-)?index-url[ =]+\w")
UNFINISHED = re.compile(r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK"]) + r")\b")
NOT_RUN = re.compile(r"pytest[.](?:skip|xfail|importorskip)|mark[.](?:skip|xfail)|Skip[T]est|unittest[.]skip")
BLANKET_NOQA = re.compile(r"#\s*(?:noqa(?!: [A-Z]+\d)|ruff:\s*noqa|flake8:\s*noqa)", re.IGNORECASE)
BARE_IGNORE = re.compile(r"#\s*type:\s*ignore(?!\[[a-z, -]+\]\s+# \w)|#\s*mypy:\s*ignore-errors")
UNCOUNTED = re.compile(r"#\s*pragma:\s*no" + r"\s*(?:cover|branch)")

EVERYWHERE = (MACHINE_PATH, PACKAGE_INDEX, UNFINISHED)
IN_PYTHON = (NOT_RUN, BLANKET_NOQA, BARE_IGNORE, UNCOUNTED)


def findings(pattern: re.Pattern[str], sources: dict[str, str]) -> list[str]:
    """``path:line: text`` of each line that ``pattern`` is found in."""
    return [
        f"{name}:{number}: {line.strip()}"
        for name, text in sources.items()
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]


@pytest.mark.parametrize("pattern", EVERYWHERE, ids=["machine-path", "package-index", "unfinished"])
def test_no_file_holds(pattern: re.Pattern[str]) -> None:
    assert findings(pattern, texts()) == []


@pytest.mark.parametrize("pattern", IN_PYTHON, ids=["not-run", "blanket-noqa", "bare-ignore", "uncounted"])
def test_no_module_holds(pattern: re.Pattern[str]) -> None:
    assert findings(pattern, modules()) == []


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (MACHINE_PATH, "open('/" + "root/.ssh/id')"),
        (MACHINE_PATH, "cd /" + "home/me/swarmsec"),
        (PACKAGE_INDEX, "https://pypi" + ".org/simple"),
        (PACKAGE_INDEX, "--extra-index-url" + " https://mirror"),
        (UNFINISHED, "# TO" + "DO: later"),
        (NOT_RUN, "@pytest.mark." + "skipif(True)"),
        (NOT_RUN, "pytest." + "skip('not here')"),
        (BLANKET_NOQA, "import os  # " + "noqa"),
        (BLANKET_NOQA, "# ruff: " + "noqa"),
        (BARE_IGNORE, "x = y  # type: " + "ignore"),
        (BARE_IGNORE, "x = y  # type: " + "ignore[assignment]"),
        (UNCOUNTED, "raise  # pragma: " + "no cover"),
    ],
)
def test_each_rule_catches_what_it_forbids(pattern: re.Pattern[str], line: str) -> None:
    assert findings(pattern, {"example": line}) == [f"example:1: {line}"]


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (MACHINE_PATH, "GET /api/v1/ro" + "ot/pem"),
        (MACHINE_PATH, "the CA's root/intermediate"),
        (BLANKET_NOQA, "import os  # " + "noqa: F401"),
        (BARE_IGNORE, "x = y  # type: " + "ignore[assignment]  # the stub is wrong"),
    ],
)
def test_no_rule_catches_what_is_allowed(pattern: re.Pattern[str], line: str) -> None:
    assert findings(pattern, {"example": line}) == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [name for name, text in modules().items() if text.strip() and not ast.get_docstring(ast.parse(text))]
    assert silent == []


def test_no_module_is_too_long() -> None:
    lengths = {name: text.count("\n") for name, text in modules().items()}
    assert {name: length for name, length in lengths.items() if length > LONGEST_MODULE} == {}


def test_every_test_folder_is_a_package() -> None:
    # Otherwise tests/unit/ca would stand in for ca itself.
    folders = {(ROOT / name).parent for name in modules() if name.startswith("tests/")}
    lineage = set(chain.from_iterable([folder, *folder.parents] for folder in folders))
    inside = {folder for folder in lineage if folder.is_relative_to(ROOT / "tests")}
    assert sorted(folder for folder in inside if not (folder / "__init__.py").is_file()) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_ships_its_types(package: str) -> None:
    assert ROOT / package / "py.typed" in files()


def test_the_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert re.search(r"Apache License\s+Version 2\.0, January 2004\s+http://www\.apache\.org/licenses/", text)
    assert "END OF TERMS AND CONDITIONS" in text
    assert pyproject()["project"]["license"] == "Apache-2.0"
