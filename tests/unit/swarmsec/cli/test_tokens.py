"""``ca token``: what is printed, what is refused, and that an older home takes the new table."""

from __future__ import annotations

import sqlite3
from datetime import timedelta

import click
import pytest

from swarmsec.cli.durations import DURATION
from tests.unit.swarmsec.cli.program import Program


def test_a_token_stands_alone_on_stdout_and_is_listed_without_itself(program: Program) -> None:
    made = program.good("ca", "token", "create", "--role", "worker", "--ttl", "2h", "--uses", "3")
    listed = program.good("ca", "token", "list", "--json")

    assert made.out.startswith("SWMTKN-1-")
    assert made.out.count("\n") == 1
    (item,) = listed.document
    assert item.keys() == {"id", "role", "node_name", "state", "uses", "uses_left", "created", "expires"}
    assert (item["role"], item["node_name"], item["state"], item["uses_left"]) == ("worker", None, "active", 3)
    assert item["id"] in made.err
    assert made.out.strip() not in program.good("ca", "token", "list").out + listed.out + made.err


def test_a_revoked_token_shows_as_such(program: Program) -> None:
    made = program.good("--json", "ca", "token", "create", "--role", "agent", "--node-name", "n1").document
    assert made.keys() == {"id", "role", "node_name", "uses", "expires", "token"}

    assert program.good("ca", "token", "revoke", made["id"], "--json").document == {"revoked": made["id"]}

    header, row = program.good("ca", "token", "list").out.splitlines()
    assert header.split("\t") == ["ID", "ROLE", "NODE", "STATE", "USES LEFT", "EXPIRES"]
    assert row.split("\t")[:5] == [made["id"], "agent", "n1", "revoked", "1 of 1"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("create",),
        ("create", "--role", "king"),
        ("create", "--role", "worker", "--ttl", "15"),
        ("create", "--role", "worker", "--ttl", "0s"),
        ("create", "--role", "worker", "--ttl", "999999999d"),
        ("create", "--role", "worker", "--uses", "0"),
        ("create", "--role", "worker", "--node-name", "A B"),
        ("create", "--role", "recover"),
        ("create", "--role", "recover", "--node-name", "nobody"),
        ("revoke", "nobody"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_ends_with_2(arguments: tuple[str, ...], program: Program) -> None:
    answer = program("ca", "token", *arguments)

    assert (answer.code, answer.out) == (2, "")
    assert program.good("ca", "token", "list", "--json").document == []


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("15m", 900), ("2h", 7200), ("7d", 604_800)])
def test_lengths_of_time(text: str, seconds: int) -> None:
    assert DURATION.convert(text, None, None) == timedelta(seconds=seconds)
    assert DURATION.convert(timedelta(1), None, None) == timedelta(1)


@pytest.mark.parametrize("text", ["", "s", "1", "-1s", "1.5h", "1w", "1 s", "1S", "٣s", "1234567890s", "1s\n"])
def test_what_is_no_length_of_time(text: str) -> None:
    with pytest.raises(click.BadParameter, match="such as 90s"):
        DURATION.convert(text, None, None)


def test_a_home_of_the_version_before_gets_the_table_when_it_is_opened(program: Program) -> None:
    with sqlite3.connect(program.home / "state.db") as database:
        newer = ["limited_tokens", "revocation_reasons"]
        newer += ["rotations", "rotation_nodes", "cross_certificates", "retired_lists", "node_contacts"]
        for table in newer:
            database.execute(f"DROP TABLE {table}")
        database.execute("UPDATE alembic_version SET version_num = 'ca_0001' WHERE version_num LIKE 'ca_%'")
    database.close()

    program.good("ca", "token", "create", "--role", "worker")

    assert len(program.good("ca", "token", "list", "--json").document) == 1
    program.good("audit", "verify")
    assert "home.migrate" in program.good("audit", "log", "--action", "home.migrate").out
