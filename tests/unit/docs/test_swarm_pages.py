"""Every command on the pages about a Swarm is run on real engines: tests/swarm types it as the page has it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = ("adopt.md", "rotate.md", "swarm.md", "recover.md", "leave.md")
PROGRAMS = ("swarmsec ", "docker ")


def commands_on(page: str) -> list[str]:
    """The lines of a page's blocks that call swarmsec or Docker."""
    blocks = (ROOT / "docs" / page).read_text().split("```")[1::2]
    return [line for block in blocks for line in block.splitlines() if line.startswith(PROGRAMS)]


def typed_in_tests() -> set[str]:
    """The command lines that tests/swarm has as texts of its own."""
    found: set[str] = set()
    for path in (ROOT / "tests" / "swarm").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(PROGRAMS):
                found.add(node.value)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_is_typed_in_a_test(page: str) -> None:
    commands = commands_on(page)
    assert commands
    assert [line for line in commands if line not in typed_in_tests()] == []
