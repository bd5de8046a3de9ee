"""The table of what must be logged: every action has its row, and every row the very test that performs it."""

from __future__ import annotations

import ast
import re
from functools import lru_cache

import pytest

from swarmsec.audit.actions import Action
from tests.unit.docs.test_pages import table
from tests.unit.repository.tree import ROOT

NO_PART = "no such part"
MUST: dict[str, set[str]] = {
    "seals made and removed": {"seal.create", "seal.remove"},
    "something that does not open a seal": {"seal.open"},
    "keys rotated and rewrapped": {"key.rotate", "key.rewrap", "key.destroy"},
    "secrets created, read, changed, delivered, removed": {
        *("secret.create", "secret.reveal", "secret.put", "secret.deliver"),
        *("secret.delete", "secret.undelete", "secret.destroy"),
    },
    "policies": {"policy.apply"},
    "certificates issued, renewed, revoked, listed as revoked": {"ca.issue", "ca.revoke", "ca.crl"},
    "trust metadata signed, published, refused": {"trust.sign", "trust.publish", "trust.token-spend"},
    "the log exported, verified and pruned": {"audit.export", "audit.verify", "audit.prune"},
    "backup and restore": {"backup.create", "backup.restore", "backup.accept"},
    "start, stop and changed settings": {"serve.start", "serve.stop"},
    "a clock that is set": {"clock.step"},
    "waivers, wrapped values, leases, break-glass": {"waiver.*", "wrap.*", "lease.*", "break-glass.*"},
}
"""What a log of this kind must hold, whatever this program can do."""

ROWS = table("docs/audit.md", "## Coverage")


def test_every_action_has_one_row() -> None:
    named = [action for _, action, holder in ROWS if holder != NO_PART]
    assert sorted(named) == sorted(action.value for action in Action)


def test_everything_that_must_be_logged_is_there() -> None:
    assert set().union(*MUST.values()) - {action for _, action, _ in ROWS} == set()


@pytest.mark.parametrize("pattern", [action for _, action, holder in ROWS if holder == NO_PART])
def test_a_row_without_a_test_has_no_part_yet(pattern: str) -> None:
    subject = pattern.removesuffix("*")
    assert subject != pattern
    assert [action for action in Action if action.startswith(subject)] == [], "the part is there: give it its test"


@pytest.mark.parametrize(("action", "holder"), [(action, holder) for _, action, holder in ROWS if holder != NO_PART])
def test_the_named_test_is_there_and_speaks_of_its_action(action: str, holder: str) -> None:
    path, _, name = holder.partition("::")
    assert name in named_in(path), f"{holder} is no test"
    text = (ROOT / path).read_text()
    assert re.search(rf"\"{re.escape(action)}\"|Action\.{Action(action).name}\b", text), f"{path} never names {action}"


@lru_cache(maxsize=128)
def named_in(path: str) -> set[str]:
    """The names of a module's tests."""
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}
