"""Commands in what the program says can be run as they are printed."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tests.unit.docs.commands import resolve
from tests.unit.repository.tree import ROOT

PACKAGES = ("swarmsec", "ca", "notary", "policies")
WHOLE = re.compile(r": (?P<words>swarmsec .*?)(?=[;,)]|\.?$|: )")
"""A command that is to be run; it ends with the text, or before the next mark."""
NAMED = re.compile(r"'(?P<words>swarmsec [^']+)'")
"""A command that is spoken of."""


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Every text of a module but for its docstrings, with its line; a 1 stands for what is filled in."""
    tree = ast.parse(path.read_text())
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, holders) and node.body]
    known = {id(body[0].value) for body in bodies if isinstance(body[0], ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            known |= {id(value) for value in node.values}
            parts = [value.value if isinstance(value, ast.Constant) else "1" for value in node.values]
            yield node.lineno, "".join(map(str, parts))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in known:
            yield node.lineno, node.value


def found(pattern: re.Pattern[str]) -> dict[str, set[str]]:
    """What a pattern finds in the source, with the places."""
    places: dict[str, set[str]] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for line, text in texts(path):
                for match in pattern.finditer(text):
                    places.setdefault(match["words"], set()).add(f"{path.relative_to(ROOT)}:{line}")
    return places


def wrong(words: str, *, whole: bool) -> str | None:
    """Why a command line is none; one that is only spoken of may lack what it needs."""
    try:
        resolve(shlex.split(words.removesuffix(" --help"))[1:])
    except click.MissingParameter as missing:
        return missing.format_message() if whole and not words.endswith(" --help") else None
    except click.ClickException as error:
        return error.format_message()
    return None


@pytest.mark.parametrize(("pattern", "least"), [(WHOLE, 80), (NAMED, 5)], ids=["whole", "named"])
def test_commands_can_be_run_as_they_are_printed(pattern: re.Pattern[str], least: int) -> None:
    places = found(pattern)
    reasons = {words: wrong(words, whole=pattern is WHOLE) for words in places}
    assert {(words, reason, *places[words]) for words, reason in reasons.items() if reason} == set()
    assert len(places) > least


@pytest.mark.parametrize("words", ["swarmsec node join", "swarmsec ca nothing", "swarmsec ca list --nothing"])
def test_what_cannot_be_run_is_found(words: str) -> None:
    assert wrong(words, whole=True)
