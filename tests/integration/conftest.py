"""Fixtures of the tests against a real PostgreSQL and SoftHSM, from the packages of scripts/install-test-deps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.trust_world import TrustWorld
from tests.peers.hostile_http import hostile_server
from tests.peers.postgres import PostgresServer
from tests.peers.softhsm import SoftHsm
from tests.unit.swarmsec.cli.homes import homeless
from tests.unit.swarmsec.cli.program import Program

__all__ = ["homeless"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for the whole run."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def database_url(postgres: PostgresServer) -> Iterator[str]:
    """SQLAlchemy URL of an empty database for one test."""
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture
def hsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoftHsm:
    """Tokens that this process and its children see, beside a state directory of the test's own."""
    made = SoftHsm(tmp_path / "hsm")
    monkeypatch.setenv("SOFTHSM2_CONF", str(made.configuration))
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    return made


@pytest.fixture
def token(hsm: SoftHsm) -> Path:
    """The directory of a token named ``swarm``."""
    return hsm.make_token("swarm")


@pytest.fixture
def trust(homeless: Program) -> Iterator[TrustWorld]:
    """A machine that has pinned a repository with one image repository."""
    with hostile_server() as server:
        world = TrustWorld(program=homeless, server=server)
        world.publish()
        world.pin()
        yield world
