"""``swarmsec ca status``: counts, names of who is late, and ends; never more than a look."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from swarmsec.clock import SystemClock
from tests.unit.docs.world import new_root
from tests.unit.swarmsec.cli.program import Program

ISSUE = ("ca", "issue", "--profile", "server", "--hours", "10")


def later(monkeypatch: pytest.MonkeyPatch, hours: float) -> None:
    """Let the wall clock stand some hours from now."""
    now = SystemClock().unix_ms()
    monkeypatch.setattr(SystemClock, "unix_ms", lambda clock: now + round(hours * 3_600_000))


def test_a_new_authority(program: Program) -> None:
    found = program.good("ca", "status", "--json").document
    shown = program.good("ca", "show", "--json").document
    assert found["cluster_id"] == shown["cluster_id"]
    assert found["root"] == {key: shown["roots"][0][key] for key in ("sha256", "not_after")}
    assert found["certificates"] == {"valid": 0, "superseded": 0, "revoked": 0, "expired": 0}
    assert (found["due"], found["overdue"], found["crl"], found["swarm_roots"]) == ([], [], None, [])
    assert sorted((token["role"], token["kind"]) for token in found["tokens"]) == [
        ("manager", "standing"),
        ("worker", "standing"),
    ]
    assert all(token["age_seconds"] >= 0 for token in found["tokens"])
    assert found["open_limited_tokens"] == 0
    assert (found["short_lived"], found["findings"], found["waiting"]) == ([], [], [])


def test_lifetimes_below_an_hour_are_a_finding(program: Program) -> None:
    settings = program.home / "swarmsec.toml"
    settings.write_text(settings.read_text() + "\n[ca]\nallow_short_lifetimes = true\ncertificate_minutes = 4\n")
    (finding,) = program.good("ca", "status", "--json").document["findings"]
    assert (finding["id"], finding["severity"]) == ("ca-short-lifetimes", "medium")
    assert "finding       new certificates of nodes live for 4 minutes" in program.good("ca", "status").out


def test_who_is_due_and_who_is_late_is_named(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("early", "gone"):
        program.good(*ISSUE, "--san", name, "--out", name)
    program.good("ca", "revoke", "gone")
    later(monkeypatch, 5)
    assert program.good("ca", "status", "--json").document["due"] == ["early"]
    later(monkeypatch, 4)
    found = program.good("ca", "status", "--json").document
    assert (found["due"], found["overdue"]) == ([], ["early"])
    assert found["certificates"] == {"valid": 1, "superseded": 0, "revoked": 1, "expired": 0}
    program.good(*ISSUE, "--san", "early", "--out", "again")
    found = program.good("ca", "status", "--json").document
    assert (found["due"], found["overdue"], found["certificates"]["valid"]) == ([], [], 2)
    later(monkeypatch, 24)
    found = program.good("ca", "status", "--json").document
    assert (found["certificates"]["expired"], found["overdue"], found["expired"]) == (2, [], ["early"])
    assert "expired       early" in program.good("ca", "status").out.splitlines()
    program.good(*ISSUE, "--san", "early", "--out", "back")
    assert program.good("ca", "status", "--json").document["expired"] == []


def test_the_newest_list_is_shown(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = program.good("ca", "crl", "--json").document
    found = program.good("ca", "status", "--json").document["crl"]
    assert found == {"number": listed["number"], "next_update": listed["next_update"]}
    assert f"number {listed['number']}, until" in program.good("ca", "status").out
    later(monkeypatch, 8 * 24)
    assert f"number {listed['number']}, ended" in program.good("ca", "status").out


def test_accepted_roots_and_limited_tokens_are_counted(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    program.write("swarm-root.pem", new_root())
    program.good("ca", "trust-swarm", "swarm-root.pem")
    program.good("ca", "token", "create", "--role", "worker")
    found = program.good("ca", "status", "--json").document
    (root,) = found["swarm_roots"]
    assert datetime.fromisoformat(root["added"]).utcoffset() == timedelta()
    assert (len(root["sha256"]), found["open_limited_tokens"]) == (64, 1)
    later(monkeypatch, 24 * 400)
    assert program.good("ca", "status", "--json").document["open_limited_tokens"] == 0


def test_people_read_it_line_by_line(program: Program) -> None:
    lines = program.good("ca", "status").out.splitlines()
    assert [line.split()[0] for line in lines] == [
        *("cluster", "root", "certificates", "due", "overdue", "crl", "swarm", "token", "token", "token")
    ]


def test_looking_leaves_nothing(program: Program) -> None:
    size = program.good("audit", "verify", "--json").document["entries"]
    program.good("ca", "status")
    assert program.good("audit", "verify", "--json").document["entries"] == size + 1, "the first verification alone"


def test_without_a_home_there_is_no_status(homeless: Program) -> None:
    assert homeless("ca", "status").code == 2


def test_many_names_are_cut_and_broken_at_eighty_columns(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{number:02}{'x' * 23}" for number in range(22)]
    monkeypatch.setattr("swarmsec.services.ca.authority_status._subjects", lambda items: names)
    lines = program.good("ca", "status").out.splitlines()
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    assert [name in text for name in names] == [True] * 20 + [False] * 2
    assert "and 2 more: see ca list" in text
    assert program.good("ca", "status", "--json").document["overdue"] == names
