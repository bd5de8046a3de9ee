"""``swarmsec audit``: what is selected and shown, and every kind of damage that verification must name."""

from __future__ import annotations

import json
import sqlite3
from base64 import b64encode
from collections.abc import Callable

import pytest

from swarmsec.audit.entry import leaf_hash
from swarmsec.audit.merkle import tree_hash
from swarmsec.cli import audit, tables
from tests.unit.swarmsec.cli.program import Program

FIELDS = {"entries", "root", "checkpoint", "ok", "first_bad_seq"}


def entries(program: Program, *arguments: str) -> list[dict[str, object]]:
    """The entries that ``audit log --json`` prints."""
    return [json.loads(line) for line in program.good("audit", "log", "--json", *arguments).out.splitlines()]


def rows(text: str) -> list[list[str]]:
    """The cells of a table in a pipe, without its header."""
    return [line.split("\t") for line in text.splitlines()[1:]]


def test_lines_are_the_exact_entries(program: Program) -> None:
    lines = program.good("audit", "log", "--json").out.encode().splitlines()
    verified = program.good("audit", "verify", "--json").document
    root = tree_hash(leaf_hash(line) for line in lines)
    assert verified.pop("checkpoint").split("\n")[1:3] == [str(len(lines)), b64encode(root).decode()]
    assert verified == {
        "entries": len(lines),
        "root": root.hex(),
        "ok": True,
        "first_bad_seq": None,
        "signed": len(lines),
        "pruned": 0,
        "clock_steps": [],
    }


def test_a_table_has_a_line_for_each_entry(program: Program) -> None:
    found = rows(program.good("audit", "log").out)
    assert [int(row[0]) for row in found] == list(range(len(found)))
    assert found[0][3:6] == ["home.create", "success", found[0][5]]
    assert all(len(row) == 7 for row in found)


def test_selections(program: Program) -> None:
    program.good("access", "add", "alice", "--role", "operator", "--out", "alice")
    everything = entries(program)
    assert entries(program, "--limit", "3") == everything[-3:]
    assert entries(program, "--limit", "9999") == everything
    assert [entry["action"] for entry in entries(program, "--object", "alice")] == ["ca.issue", "access.add"]
    assert [entry["action"] for entry in entries(program, "--object", "alice", "--limit", "1")] == ["access.add"]
    assert {str(entry["action"]).partition(".")[0] for entry in entries(program, "--action", "ca")} == {"ca"}
    assert entries(program, "--action", "access.add") == [everything[-1]]
    assert entries(program, "--actor", "nobody") == []
    actor = everything[-1]["actor"]
    assert isinstance(actor, dict)
    assert entries(program, "--actor", f"{actor['type']}:{actor['id']}") == everything
    assert entries(program, "--actor", str(actor["id"])) == everything
    assert entries(program, "--since", "1d") == everything
    assert entries(program, "--since", str(everything[-1]["time"]))[-1] == everything[-1]
    assert entries(program, "--since", "9999-01-01") == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--since", "yesterday"],
        ["--since", "2026-13-01"],
        ["--since", "0001-01-01T00:00:00+23:59"],
        ["--since", "-1d"],
        ["--action", "ca.nothing"],
        ["--limit", "0"],
        ["--limit", "many"],
    ],
)
def test_questions_that_cannot_be_meant_are_usage(program: Program, arguments: list[str]) -> None:
    assert program("audit", "log", *arguments).code == 2


def test_what_strangers_write_does_not_steer_a_terminal(program: Program) -> None:
    reason = "a\x1b[2Jb\u202ec\td\x9be"
    program.good("access", "add", "alice", "--role", "operator", "--out", "alice")
    program.good("access", "revoke", "alice", "--reason", reason)
    (row,) = rows(program.good("audit", "log", "--action", "access.revoke").out)
    assert row[6] == r"a\x1b[2Jb\u202ec\td\x9be"
    assert entries(program, "--limit", "1")[0]["reason"] == reason


def test_on_a_terminal_json_is_escaped_and_stays_the_same_value(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    program.good("access", "add", "alice", "--role", "operator", "--out", "alice")
    program.good("access", "revoke", "alice", "--reason", "a\x9bb\U000e0041")
    (plain,) = program.good("audit", "log", "--json", "--limit", "1").out.splitlines()
    monkeypatch.setattr(audit, "is_terminal", lambda: True)
    (shown,) = program.good("audit", "log", "--json", "--limit", "1").out.splitlines()
    assert shown.isprintable()
    assert shown != plain
    assert json.loads(shown) == json.loads(plain)


def test_a_terminal_gets_columns_and_whole_cells(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "250")
    header, *lines = program.good("audit", "log").out.splitlines()
    assert header.split() == ["SEQ", "TIME", "ACTOR", "ACTION", "OUTCOME", "OBJECT", "REASON"]
    assert len(lines) == len(entries(program))
    assert all(line.index("local:") == header.index("ACTOR") for line in lines)
    assert not any("…" in line or "\t" in line for line in lines)


def test_following_shows_what_comes_until_it_is_stopped(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []

    def wait(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            raise KeyboardInterrupt
        if len(looks) == 1:
            _log_one_more(program)

    monkeypatch.setattr(audit, "wait", wait)
    before = len(entries(program))
    looks.clear()
    answer = program("audit", "log", "--follow", "--json")
    assert answer.code == 130
    assert [json.loads(line)["seq"] for line in answer.out.splitlines()] == list(range(before + 1))
    assert len(looks) == 3


def _log_one_more(program: Program) -> None:
    from swarmsec.audit.actions import Action
    from swarmsec.audit.entry import ObjectRef
    from swarmsec.services.requester import SERVICE
    from swarmsec.wiring.homes.home import open_home

    home = open_home(program.home)
    home.store.write(lambda unit: unit.log(SERVICE.event(Action.SERVE_START, ObjectRef(type="home"))))
    home.close()


def change_entry(database: sqlite3.Connection) -> None:
    """Change a byte of entry 3, and nothing else."""
    database.execute("UPDATE audit_entries SET data = replace(data, 'success', 'failure') WHERE seq = 3")


def rewrite_entry(database: sqlite3.Connection) -> None:
    """Change entry 2 and its hash, so that entry 3 no longer follows it."""
    (data,) = database.execute("SELECT data FROM audit_entries WHERE seq = 2").fetchone()
    changed = bytes(data).replace(b"success", b"failure")
    database.execute("UPDATE audit_entries SET data = ?, leaf_hash = ? WHERE seq = 2", (changed, leaf_hash(changed)))


def remove_entry(database: sqlite3.Connection) -> None:
    """Remove entry 3."""
    database.execute("DELETE FROM audit_entries WHERE seq = 3")


def text_for_bytes(database: sqlite3.Connection) -> None:
    """Put a value of another kind into entry 3."""
    database.execute("UPDATE audit_entries SET data = 'text' WHERE seq = 3")


def nothing_for_hash(database: sqlite3.Connection) -> None:
    """Put a number where entry 3 has its hash."""
    database.execute("UPDATE audit_entries SET leaf_hash = 7 WHERE seq = 3")


@pytest.mark.parametrize(
    "damage", [change_entry, rewrite_entry, remove_entry, text_for_bytes, nothing_for_hash], ids=lambda f: f.__name__
)
def test_damaged_entries_end_with_4_and_their_number(
    program: Program, damage: Callable[[sqlite3.Connection], None]
) -> None:
    tamper(program, damage)
    answer = program("audit", "verify", "--json")
    assert answer.code == 4
    document = answer.document
    assert set(document) >= FIELDS
    assert (document["ok"], document["first_bad_seq"], document["root"]) == (False, 3, None)
    assert "log entry 3: " in answer.err
    plain = program("audit", "verify")
    assert (plain.code, plain.out) == (4, "")


@pytest.mark.parametrize("damage", [change_entry, text_for_bytes, nothing_for_hash], ids=lambda f: f.__name__)
def test_a_damaged_entry_is_not_shown(program: Program, damage: Callable[[sqlite3.Connection], None]) -> None:
    tamper(program, damage)
    for arguments in ([], ["--limit", "100"], ["--json"]):
        assert program("audit", "log", *arguments).code == 4


def test_a_changed_row_ends_with_4(program: Program) -> None:
    tamper(program, lambda database: database.execute("UPDATE settings SET value = 'x' WHERE name = 'cluster_id'"))
    answer = program("audit", "verify", "--json")
    assert (answer.code, answer.document["ok"], answer.document["first_bad_seq"]) == (4, False, None)


def test_entries_cut_off_the_end_end_with_4(program: Program) -> None:
    tamper(program, lambda database: database.execute("DELETE FROM audit_entries WHERE seq > 3"))
    answer = program("audit", "verify", "--json")
    assert (answer.code, answer.document["ok"]) == (4, False)
    assert "is older than what it was" in answer.document["error"]


def test_a_file_that_is_no_database_ends_with_4(program: Program) -> None:
    (program.home / "state.db").write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 64)
    assert program("audit", "verify", "--json").code == 4


def test_entries_that_were_swapped_end_with_4(program: Program) -> None:
    def swap(database: sqlite3.Connection) -> None:
        for old, new in ((3, -1), (4, 3), (-1, 4)):
            database.execute("UPDATE audit_entries SET seq = ? WHERE seq = ?", (new, old))

    tamper(program, swap)
    answer = program("audit", "verify", "--json")
    assert (answer.code, answer.document["first_bad_seq"]) == (4, 3)
    assert "expected this number in the entry" in answer.err


def test_a_log_and_a_database_of_an_older_copy_end_with_4(program: Program) -> None:
    import shutil

    shutil.copytree(program.home, program.directory / "older")
    program.good("ca", "token", "worker", "--rotate")
    shutil.rmtree(program.home)
    (program.directory / "older").rename(program.home)
    answer = program("audit", "verify")
    assert (answer.code, "is older than what it was" in answer.err) == (4, True)


def test_a_clock_that_stepped_back_is_told(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    from swarmsec.clock import SystemClock

    real = SystemClock.unix_ms
    # That it was verified is the next entry.
    size = program.good("audit", "verify", "--json").document["entries"] + 1
    monkeypatch.setattr(SystemClock, "unix_ms", lambda self: real(self) - 3_600_000)
    program.good("ca", "token", "worker", "--rotate")
    answer = program.good("audit", "verify", "--json")
    assert answer.document["clock_steps"] == [size]
    said = program.good("audit", "verify")
    assert f"the clock stood behind that of the entry before when entry {size} was written" in said.err
    program.good("audit", "export", "-o", "evidence")
    assert program.good("audit", "verify", "--from", "evidence", "--json").document["clock_steps"] == [size]


def tamper(program: Program, damage: Callable[[sqlite3.Connection], object]) -> None:
    """Change the database behind the program's back."""
    database = sqlite3.connect(program.home / "state.db")
    with database:
        damage(database)
    database.close()


def test_verifying_needs_a_home(homeless: Program) -> None:
    assert homeless("audit", "verify").code == 2
    assert homeless("audit", "log").code == 2


def test_that_it_was_verified_is_on_record_with_what_was_found(program: Program) -> None:
    found = program.good("audit", "verify", "--json").document
    (line,) = program.good("audit", "log", "--action", "audit.verify", "--json").out.splitlines()
    entry = json.loads(line)
    assert entry["fields"] == {"entries": found["entries"], "root": found["root"]}
    assert entry["seq"] == found["entries"]
    again = program.good("audit", "verify", "--json").document
    assert (again["entries"], again["signed"]) == (found["entries"] + 1, found["entries"] + 1)


def test_a_home_that_nobody_can_write_is_verified_and_says_that_no_entry_is_left(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    from swarmsec.errors import Unavailable
    from swarmsec.storage.store import Store

    def refuse(*_: object) -> None:
        raise Unavailable("the file system is read-only")

    monkeypatch.setattr(Store, "write", refuse)
    answer = program.good("audit", "verify")
    assert "not on record: the file system is read-only" in answer.err
