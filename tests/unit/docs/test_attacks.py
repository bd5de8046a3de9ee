"""The page of attacks: no number is missing, and each row's test is there and expects what the row says."""

from __future__ import annotations

import ast
import re

import pytest

from tests.unit.docs.test_pages import table
from tests.unit.repository.tree import ROOT

NUMBERS = {*range(1, 59)} - {39}
"""Of the list that the trust service was designed against; it has no 39."""
ROWS = table("docs/attacks.md", "## The list")

EXPECTED = {
    "0": r"\btrusted\(|trusted, None|returncode, |is_near|seen\.headers",
    "1": r"\brefused\(\s*1,|, 1, \"|theft\.refused\(|code in \{1, 3\}",
    "2": r"code == 2\b",
    "3": r"\brefused\(3,|, 3, \"",
}
"""How a test says that it expects an exit code."""


def numbers_of(cell: str) -> set[int]:
    """The numbers of a cell such as ``50–54, 57``."""
    found: set[int] = set()
    for part in cell.split(", "):
        first, _, last = part.partition("–")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def source_of(cell: str) -> tuple[str, str]:
    """The source of the test that a cell names as ``file: test``, with its decorators; and the test's name."""
    named = re.fullmatch(r"([a-z]+)`: `(test_[a-z0-9_]+)", cell)
    assert named is not None, cell
    text = (ROOT / f"tests/integration/test_attacks_on_{named[1]}.py").read_text()
    (test,) = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and node.name == named[2]]
    first = min([test.lineno, *(each.lineno for each in test.decorator_list)])
    return "\n".join(text.splitlines()[first - 1 : test.end_lineno]), named[2]


def test_no_attack_is_missing() -> None:
    assert set().union(*(numbers_of(row[0]) for row in ROWS)) == NUMBERS


@pytest.mark.parametrize("row", ROWS, ids=[f"{row[0]} {row[1][:30]}" for row in ROWS])
def test_the_test_of_an_attack_expects_what_the_page_says(row: list[str]) -> None:
    cell, _, code, words, test = row
    source, name = source_of(test)
    assert int(re.findall(r"\d+", name)[0]) in numbers_of(cell) | {49}
    assert words in source, source
    assert re.search(EXPECTED[code], source), source
