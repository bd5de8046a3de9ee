"""What the tests of the store share: an empty database of each kind, stores on it, and units of work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import Event, ObjectRef, parse_entry
from swarmsec.services.ports import Transaction
from swarmsec.services.requester import SERVICE
from swarmsec.storage.database import open_engine, parse_url, sqlite_path
from swarmsec.storage.store import Store
from swarmsec.storage.tables import audit_entries
from tests.integration.clocks import StandingClock


@dataclass(slots=True, kw_only=True)
class Database:
    """An empty database and the stores that a test opens on it."""

    url: str
    directory: Path
    clock: StandingClock = field(default_factory=StandingClock)
    stores: list[Store] = field(default_factory=list)

    def open(self) -> Store:
        store = open_store(self.url, self.directory, self.clock)
        self.stores.append(store)
        return store


def open_store(url: str, directory: Path, clock: StandingClock) -> Store:
    parsed = parse_url(url, directory)
    return Store(open_engine(parsed), clock, directory / "writer" if sqlite_path(parsed) else None)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    url = "sqlite:///state.db" if request.param == "sqlite" else request.getfixturevalue("database_url")
    made = Database(url=url, directory=tmp_path)
    yield made
    for store in made.stores:
        store.anchor = None
        store.close()


@pytest.fixture
def store(database: Database) -> Store:
    opened = database.open()
    opened.migrate()
    return opened


def event(text: str = "", *, outcome: Outcome = Outcome.SUCCESS, **fields: str) -> Event:
    target = ObjectRef(type="test", id="object")
    return SERVICE.event(Action.POLICY_APPLY, target, outcome=outcome, reason=text, fields=fields)


def put(name: str, value: str) -> Callable[[Transaction], int]:
    """A unit that sets one setting and logs it."""

    def unit(transaction: Transaction) -> int:
        transaction.settings.put(name, value)
        return transaction.log(event(f"{name}={value}"))

    return unit


def value_of(store: Store, name: str) -> str | None:
    return store.read(lambda transaction: transaction.settings.get(name))


def entries(store: Store) -> list[dict[str, Any]]:
    with store.reading() as transaction:
        rows = transaction.connection.execute(audit_entries.select().order_by(audit_entries.c.seq)).all()
    return [parse_entry(row.data) for row in rows]
