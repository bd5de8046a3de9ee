"""Several servers on one PostgreSQL database, and one through an outage of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ca.identity import NodeRole
from swarmsec.services.ca.revoke_certificates import revoke_certificates
from swarmsec.storage.checking import verify_store
from tests.integration.serve_clients import SECONDS
from tests.integration.serve_world import ServedHome
from tests.integration.test_serve_crashes import Storm
from tests.peers.postgres import PostgresServer
from tests.peers.processes import wait_for
from tests.unit.swarmsec.homes import OPERATOR

JOINS_EACH = 30


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    """A server of the test's own, because the tests stop it."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres: PostgresServer) -> Iterator[ServedHome]:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    url = postgres.create_database().replace("postgresql+psycopg", "postgresql")
    with ServedHome(tmp_path) as made:
        yield made.create(database_url=url)


@pytest.fixture
def replica(home: ServedHome) -> Iterator[ServedHome]:
    """Another server of the same home."""
    directory = home.directory / "replica"
    directory.mkdir()
    with ServedHome(directory) as made:
        made.home = home.home
        yield made


def test_two_servers_issue_from_one_log(home: ServedHome, replica: ServedHome) -> None:
    home.serve()
    first = Storm(home)
    with first.blowing():
        first.wait_for_answers(1)
        # It makes its full check while the other one writes.
        replica.serve()
        second = Storm(replica)
        with second.blowing():
            second.wait_for_answers(JOINS_EACH)
        first.wait_for_answers(JOINS_EACH)
    assert {*first.statuses, *second.statuses} == {200}

    serials = [*first.serials, *second.serials]
    assert len(set(serials)) == len(serials)
    with home.opened() as (opened, _):
        report = verify_store(opened.store)
        listed = opened.store.read(lambda transaction: [record.serial for record in transaction.certificates.all()])
        entries = opened.store.read(lambda transaction: list(transaction.log_entries.since(0)))
    assert set(serials) <= set(listed)
    assert [json.loads(entry.data)["seq"] for entry in entries] == list(range(len(entries)))
    assert report.entries == len(entries)


def test_what_one_revokes_the_other_refuses(home: ServedHome, replica: ServedHome) -> None:
    home.serve()
    replica.serve()
    manager = home.joined(NodeRole.MANAGER, "leaver")
    with replica.connect(manager) as kept:
        assert kept.ask("GET", "/api/v1/whoami").status == 403

        home.write(lambda transaction, _: revoke_certificates(transaction, "leaver", OPERATOR))

        wait_for(kept.is_closed, timeout=SECONDS, what="the connection to be closed")
    for server in (home, replica):
        server.wait_status(401, "GET", "/api/v1/whoami", manager)


def test_an_outage_of_the_database_is_503_and_passes(home: ServedHome, postgres: PostgresServer) -> None:
    home.serve()
    token = home.token()
    auditor = home.identity("auditor")
    assert home.join(token)[0].status == 200

    postgres.stop()

    assert home.join(token)[0].status == 503
    assert home.status("GET", "/readyz") == 503
    assert home.status("GET", "/healthz") == 200
    assert home.status("GET", "/api/v1/ca/bundle") == 200
    # Nobody was looked up before: unknown is unavailable, never allowed.
    assert home.status("GET", "/api/v1/whoami", auditor) == 503
    assert home.process.is_running

    postgres.start()

    home.wait_status(200, "GET", "/readyz")
    assert home.join(token)[0].status == 200
    assert home.status("GET", "/api/v1/whoami", auditor) == 200
    assert "Traceback" not in home.log, home.log[-6000:]


def test_a_database_that_was_killed_is_503_and_passes(home: ServedHome, postgres: PostgresServer) -> None:
    home.serve()
    storm = Storm(home, joins=1_000_000)
    with storm.blowing():
        storm.wait_for_answers(20)
        postgres.kill()
        wait_for(lambda: 503 in storm.statuses, timeout=SECONDS, what="a 503")
        postgres.start()
        home.wait_status(200, "GET", "/readyz")

    assert set(storm.statuses) <= {200, 503}
    listed = home.read(lambda transaction: {record.serial for record in transaction.certificates.all()})
    assert set(storm.serials) <= listed
