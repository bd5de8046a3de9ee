"""What must be logged is: each action that a command can do alone is done here, and its entry is looked for.

The table of docs/audit.md names these and the tests of the others; tests/unit/docs holds it.
"""

from __future__ import annotations

import json

import pytest

from tests.unit.swarmsec.cli.program import Program

WITNESS = "witness.example/w+9faa0556+BAL8Ze2JQju9ToSgijZldjH/Bp3gDFoMqszg7Wuzz1kB"
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
    "audit.verify": [("audit", "verify")],
    "trust.init": [("trust", "init", "--yes")],
}

SECRET = ("secrets", "create", "app/db", "--generate")
KEYS = [("trust", "key", "create", f"{name}.key", "--plain") for name in ("alice", "bob")]
OUTSIDE = [*KEYS, ("trust", "init", "--key", "alice.key.pub", "--key", "bob.key.pub")]
DONE |= {
    "secret.undelete": [SECRET, ("secrets", "delete", "app/db"), ("secrets", "undelete", "app/db")],
    "secret.destroy": [SECRET, ("secrets", "destroy", "app/db")],
    "secret.reveal": [SECRET, ("secrets", "reveal", "app/db")],
    "audit.witness-add": [("audit", "witness", "add", WITNESS)],
    "audit.witness-remove": [("audit", "witness", "add", WITNESS), ("audit", "witness", "remove", "witness.example/w")],
    "audit.hash-key-create": [("audit", "hash-keys", "--rotate")],
    "audit.hash-key-erase": [("audit", "hash-keys", "--rotate"), ("audit", "hash-keys", "--erase", "1")],
    "ca.root-create": [("ca", "rotate")],
    "ca.root-retire": [("ca", "rotate")],
    "ca.rotate": [("ca", "rotate")],
    "ca.revoke": [
        ("ca", "issue", "--profile", "server", "--san", "db.example", "--out", "db"),
        ("ca", "revoke", "db.example"),
    ],
    "trust.export": [("trust", "init", "--yes"), ("trust", "export", "-o", "bundle")],
    "trust.token-create": [
        ("trust", "init", "--yes"),
        ("trust", "delegate", "add", "registry.example/app"),
        ("trust", "token", "create", "--repo", "registry.example/app"),
    ],
    "trust.propose": OUTSIDE,
    "trust.sign": [*OUTSIDE, ("trust", "sign", "--key", "alice.key", "--yes")],
    "trust.publish": [("trust", "init", "--yes"), ("trust", "delegate", "add", "registry.example/app")],
}


@pytest.mark.parametrize("action", DONE)
def test_what_is_done_leaves_its_entry(program: Program, action: str) -> None:
    for words in DONE[action]:
        program.good(*words)
    entries = [json.loads(line) for line in program.good("audit", "log", "--action", action, "--json").out.splitlines()]
    assert entries
    assert {entry["outcome"] for entry in entries} <= {"intent", "success"}
    assert all(entry["actor"]["type"] in {"local", "service"} for entry in entries)
