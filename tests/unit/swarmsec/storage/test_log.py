"""Reading the log back: every entry once and in order, however many batches it takes, and nothing that is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from swarmsec.audit.errors import EntryInvalid
from swarmsec.storage import log
from swarmsec.storage.database import open_engine, parse_url
from swarmsec.storage.tables import audit_entries


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    engine = open_engine(parse_url("sqlite:///x.db", tmp_path))
    with engine.connect() as connected, connected.begin():
        audit_entries.create(connected)
        yield connected
    engine.dispose()


def fill(connection: Connection, count: int) -> None:
    """Store that many entries; what is in them does not matter here."""
    for seq in range(count):
        connection.execute(audit_entries.insert().values(seq=seq, data=b"%d" % seq, leaf_hash=bytes(32)))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 7])
@pytest.mark.parametrize("batch", [1, 2, 3, 100])
def test_both_directions_give_every_entry_once(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, count: int, batch: int
) -> None:
    monkeypatch.setattr(log, "_BATCH", batch)
    fill(connection, count)
    entries = log.LogEntries(connection)
    assert [entry.seq for entry in entries.since(0)] == list(range(count))
    assert [entry.seq for entry in entries.since(2)] == list(range(2, count))
    assert [entry.seq for entry in entries.newest_first()] == list(reversed(range(count)))
    assert [entry.data for entry in entries.since(0)] == [b"%d" % seq for seq in range(count)]


def test_a_gap_is_left_to_who_verifies_the_sequence(connection: Connection) -> None:
    fill(connection, 4)
    connection.execute(audit_entries.delete().where(audit_entries.c.seq == 1))
    assert [entry.seq for entry in log.read_entries(connection)] == [0, 2, 3]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_entries SET data = 'text' WHERE seq = 1",
        "UPDATE audit_entries SET data = 5 WHERE seq = 1",
        "UPDATE audit_entries SET leaf_hash = 'text' WHERE seq = 1",
        "UPDATE audit_entries SET leaf_hash = x'00' WHERE seq = 1",
        "UPDATE audit_entries SET leaf_hash = zeroblob(33) WHERE seq = 1",
    ],
)
def test_values_of_another_kind_are_named(connection: Connection, change: str) -> None:
    fill(connection, 3)
    connection.exec_driver_sql(change)
    for read in (log.read_entries, log.read_entries_backwards):
        with pytest.raises(EntryInvalid, match="log entry 1: expected an entry and its hash") as caught:
            list(read(connection))
        assert caught.value.seq == 1


def test_a_number_that_is_none_is_named_by_its_place(connection: Connection) -> None:
    fill(connection, 2)
    # Our own table refuses it; who writes files can have one that does not.
    for change in (
        "CREATE TABLE freed AS SELECT * FROM audit_entries",
        "DROP TABLE audit_entries",
        "ALTER TABLE freed RENAME TO audit_entries",
        "UPDATE audit_entries SET seq = 'text' WHERE seq = 1",
    ):
        connection.exec_driver_sql(change)
    with pytest.raises(EntryInvalid) as caught:
        list(log.read_entries(connection))
    assert caught.value.seq == 1
