"""Fixtures of the tests against a real PostgreSQL, from the packages of scripts/install-test-deps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.peers.postgres import PostgresServer


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
