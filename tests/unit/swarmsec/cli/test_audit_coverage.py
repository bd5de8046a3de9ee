"""What must be logged is: the table of docs/audit.md, each row held by doing it and finding the entry, or by its test.

An action that stands in no row fails here, and so does a row of a part that has come meanwhile.
"""

from __future__ import annotations

import json
import re

import pytest

from swarmsec.audit.actions import Action
from tests.unit.repository.tree import ROOT
from tests.unit.swarmsec.cli.program import Program

LATER = "with that part"
WITNESS = "witness.example/w+f2fac9c3+BAL8Ze2JQju9ToSgijZldjH/Bp3gDFoMqszg7Wuzz1kB"
DONE: dict[str, list[tuple[str, ...]]] = {
    "home.create": [],
    "home.anchor-missing": [],
    "seal.create": [],
    "key.create": [],
    "key.recovery": [],
    "ca.init": [],
    "audit.key-create": [],
    "ca.token-reveal": [("ca", "token", "worker")],
    "ca.token-rotate": [("ca", "token", "worker", "--rotate")],
    "ca.token-create": [("ca", "token", "create", "--role", "worker")],
    "ca.crl": [("ca", "crl")],
    "ca.issue": [("access", "add", "alice", "--role", "auditor", "--out", "alice")],
    "access.add": [("access", "add", "alice", "--role", "auditor", "--out", "alice")],
    "access.revoke": [
        ("access", "add", "alice", "--role", "auditor", "--out", "alice"),
        ("access", "revoke", "alice", "--reason", "gone"),
    ],
    "key.rotate": [("keys", "rotate")],
    "key.rewrap": [("keys", "rotate")],
    "key.destroy": [("keys", "rotate")],
    "backup.create": [("backup", "home.age")],
    "secret.create": [("secrets", "create", "app/db", "--generate")],
    "secret.put": [("secrets", "create", "app/db", "--generate"), ("secrets", "put", "app/db", "--generate")],
    "secret.delete": [("secrets", "create", "app/db", "--generate"), ("secrets", "delete", "app/db")],
    "audit.export": [("audit", "export", "-o", "evidence")],
    "trust.init": [("trust", "init", "--yes")],
}


def rows() -> dict[str, tuple[list[str], str]]:
    """The table: what must be logged, to its actions and what holds the row."""
    text = (ROOT / "docs" / "audit.md").read_text().partition("## Coverage\n")[2]
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 3 and cells[0] not in {"what must be logged", "---"}:
            found[cells[0]] = (re.findall(r"`([a-z0-9.*-]+)`", cells[1]), cells[2])
    return found


def named(pattern: str) -> set[str]:
    """The actions that a cell names: one, or all of a subject."""
    subject, _, verb = pattern.partition(".")
    return {action for action in Action if action == pattern or (verb == "*" and action.startswith(f"{subject}."))}


def test_every_action_is_in_a_row() -> None:
    covered = {action for actions, _ in rows().values() for pattern in actions for action in named(pattern)}
    assert sorted(set(Action) - covered) == []


@pytest.mark.parametrize("row", rows())
def test_a_row_is_held_or_its_part_is_not_there_yet(row: str) -> None:
    actions, holder = rows()[row]
    if holder == LATER:
        assert [pattern for pattern in actions if named(pattern)] == [], "the part is there: give the row its test"
        return
    assert actions
    assert all(named(pattern) for pattern in actions)
    for path in re.findall(r"`(tests/[^`]+)`", holder):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("action", DONE)
def test_what_is_done_leaves_its_entry(program: Program, action: str) -> None:
    for words in DONE[action]:
        program.good(*words)
    entries = [json.loads(line) for line in program.good("audit", "log", "--action", action, "--json").out.splitlines()]
    assert entries
    assert {entry["outcome"] for entry in entries} <= {"intent", "success"}
    assert all(entry["actor"]["type"] in {"local", "service"} for entry in entries)
