"""``secrets``: where values come from, what is printed, and what is refused before anything is made."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.swarmsec.cli.program import Program


def test_a_value_from_standard_input_comes_back_byte_for_byte(program: Program) -> None:
    made = program.good("secrets", "create", "team/app/db", stdin=b"hunter2\n")
    shown = program.good("secrets", "show", "team/app/db", "--json")

    assert made.out == "team/app/db version 1\n"
    assert program.good("secrets", "reveal", "team/app/db").out == "hunter2\n"
    document = shown.document
    assert (document["name"], document["current"], document["max_versions"]) == ("team/app/db", 1, 10)
    assert [version["state"] for version in document["versions"]] == ["live"]
    assert "hunter2" not in shown.out + program.good("secrets", "list").out + program.good("audit", "log").out


def test_a_generated_value_has_the_length_that_was_asked_for(program: Program) -> None:
    program.good("secrets", "create", "a", "--generate")
    program.good("secrets", "put", "a", "--generate", "--length", "12")

    first = program.good("secrets", "reveal", "a", "--version", "1").out
    second = program.good("secrets", "reveal", "a").out
    assert (len(first), len(second)) == (40, 12)
    assert (first + second).isalnum()


def test_a_private_file_is_taken_and_one_that_others_may_read_is_not(program: Program, tmp_path: Path) -> None:
    name = program.write("value", b"from a file")
    (tmp_path / name).chmod(0o644)
    refused = program("secrets", "create", "a", "--file", name)
    (tmp_path / name).chmod(0o600)

    assert refused.code == 2
    assert "chmod 600" in refused.err
    program.good("secrets", "create", "a", "--file", name)
    assert program.good("secrets", "reveal", "a").out == "from a file"


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (("create", "a//b"), b"x"),
        (("create", "pki/web"), b"x"),
        (("create", "a", "--label", "x"), b"x"),
        (("create", "a", "--max-versions", "0"), b"x"),
        (("create", "a", "--generate", "--file", "f"), b""),
        (("create", "a", "--length", "5"), b"x"),
        (("create", "a", "--generate", "--length", "0"), b""),
        (("create", "a"), b""),
        (("create", "a"), b"x" * 512_000),
        (("create", "a", "--file", "nowhere"), b""),
        (("put", "a"), b"x"),
        (("show", "a"), b""),
        (("reveal", "a"), b""),
        (("delete", "a"), b""),
        (("destroy", "a"), b""),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(len(value)),
)
def test_what_cannot_be_meant_ends_with_2(arguments: tuple[str, ...], stdin: bytes, program: Program) -> None:
    answer = program("secrets", *arguments, stdin=stdin)

    assert (answer.code, answer.out) == (2, "")
    assert program.good("secrets", "list", "--json").document == []


def test_an_existing_name_and_a_stale_check_end_with_2(program: Program) -> None:
    program.good("secrets", "create", "a", stdin=b"one")

    assert program("secrets", "create", "a", stdin=b"two").code == 2
    assert program("secrets", "put", "a", "--cas", "7", stdin=b"two").code == 2
    assert program.good("secrets", "put", "a", "--cas", "1", stdin=b"two").out == "a version 2\n"


def test_withdrawn_brought_back_destroyed(program: Program) -> None:
    program.good("secrets", "create", "a", stdin=b"one")
    program.good("secrets", "put", "a", stdin=b"two")

    program.good("secrets", "delete", "a")
    assert program("secrets", "reveal", "a").code == 2
    program.good("secrets", "undelete", "a")
    program.good("secrets", "destroy", "a", "--version", "1")
    rows = program.good("secrets", "versions", "a").out.splitlines()
    assert [row.split("\t")[:3] for row in rows[1:]] == [["1", "destroyed", "no"], ["2", "live", "yes"]]


@pytest.mark.parametrize("size", [3, 100_000])
def test_what_was_destroyed_is_not_in_the_files(program: Program, size: int) -> None:
    """Neither its key nor its value, not in the database, its free pages or its write-ahead log."""
    program.good("secrets", "create", "a", stdin=b"x" * size)
    program.good("secrets", "put", "a", stdin=b"two")
    with closing(sqlite3.connect(program.home / "state.db")) as connection:
        found = connection.execute("SELECT wrapped_key, body FROM sealed_records WHERE name = 'secret/a#1'")
        wrapped, body = found.fetchone()
    marks = [wrapped, body[:24], body[-24:], body[size // 2 :][:24]]
    assert all(any(mark in content for content in contents(program)) for mark in marks)

    program.good("secrets", "destroy", "a", "--version", "1")

    assert not any(mark in content for content in contents(program) for mark in marks)
    assert program.good("secrets", "reveal", "a").out == "two"


def contents(program: Program) -> list[bytes]:
    """Every file of the home and of its state directory."""
    return [file.read_bytes() for file in program.directory.rglob("*") if file.is_file()]


def test_a_home_is_made_where_there_is_none_and_becomes_an_authority_later(homeless: Program) -> None:
    made = homeless.good("secrets", "create", "a", "--recovery-out", "recovery.key", stdin=b"one")
    assert "made a new home" in made.err

    homeless.good("ca", "init")

    assert homeless.good("secrets", "reveal", "a").out == "one"
    recoveries = [entry for entry in log(homeless) if entry["action"] == "key.recovery"]
    assert len(recoveries) == 1, "the recovery key that was written stays the home's"


def test_a_new_home_shows_its_recovery_key_apart_from_the_result(homeless: Program) -> None:
    made = homeless.good("-q", "secrets", "create", "a", stdin=b"one")

    assert made.out == "a version 1\n"
    assert "AGE-SECRET-KEY-1" in made.err


def log(program: Program) -> list[dict[str, object]]:
    return [json.loads(line) for line in program.good("audit", "log", "--json").out.splitlines()]
