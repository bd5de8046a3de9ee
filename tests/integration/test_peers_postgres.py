"""The PostgreSQL that the tests start answers, keeps what it committed, and leaves nothing behind."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.peers.postgres import PostgresServer
from tests.peers.processes import living


def ask(url: str, statement: str) -> str:
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            return str(connection.execute(text(statement)).scalar_one())
    finally:
        engine.dispose()


def run(url: str, statement: str) -> None:
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            connection.execute(text(statement))
    finally:
        engine.dispose()


def test_it_answers_over_a_unix_socket_only(postgres: PostgresServer) -> None:
    assert ask(postgres.url, "SELECT 6 * 7") == "42"
    assert ask(postgres.url, "SHOW listen_addresses") == ""
    assert ask(postgres.url, "SHOW fsync") == "on"


def test_it_does_not_run_as_root(postgres: PostgresServer) -> None:
    owners = set()
    for process in postgres.processes:
        # One that looks after tables comes and goes.
        with suppress(FileNotFoundError):
            owners.add(Path("/proc", str(process.pid)).stat().st_uid)
    assert owners
    assert 0 not in owners


@pytest.mark.parametrize("value", ["first", "second"])
def test_each_test_has_an_empty_database(database_url: str, value: str) -> None:
    run(database_url, "CREATE TABLE kept (word text)")
    run(database_url, f"INSERT INTO kept VALUES ('{value}')")
    assert ask(database_url, "SELECT string_agg(word, ',') FROM kept") == value


def test_what_was_committed_survives_a_power_cut_and_the_end_leaves_nothing() -> None:
    with PostgresServer() as server:
        url = server.create_database("kept")
        run(url, "CREATE TABLE kept AS SELECT 7 AS number")
        server.kill()
        assert not server.processes
        server.start()
        assert ask(url, "SELECT number FROM kept") == "7"
        processes = server.processes
        assert len(processes) > 1
    assert not living(processes)
    assert not server.directory.exists()
    assert not server.directory.with_suffix(".log").exists()
