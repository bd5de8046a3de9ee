"""Writing the log anew for a newer version: killed at any step, or on a disk without room, it is done or not at all.

The older home is a finished one whose log is put back as the former version kept it. With a short log the migration
stays in SQLite's memory until the commit; with a long one it spills into the write-ahead log before that.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from swarmsec.audit.chain import StoredEntry
from swarmsec.clock import SystemClock
from swarmsec.config import load_config
from swarmsec.storage.errors import StoreUnwritable
from swarmsec.storage.log import read_entries
from swarmsec.storage.schema import HEADS, migrate
from swarmsec.storage.store import Store
from swarmsec.wiring.homes.home import open_store
from tests.integration.commands import DURABLE_CALLS, SOAK, WRITING_CALLS, Commands, Kill, kills
from tests.integration.fulldisk import fill, small_disk
from tests.integration.storecontract import entries, put
from tests.integration.storefixtures import Place, make_home, opened, verify_whole

CALLS = WRITING_CALLS if SOAK else DURABLE_CALLS
LONG = 1500
"""Entries that do not fit into the 2 MB of pages that SQLite keeps in memory."""
PLACES = 150 if SOAK else 5
"""How many steps are tried; a long log takes thousands of writes."""
AS_BEFORE = """
PRAGMA secure_delete = ON;
BEGIN;
CREATE TABLE former (
    seq BIGINT NOT NULL, data BLOB NOT NULL, leaf_hash BLOB NOT NULL, PRIMARY KEY (seq)
);
INSERT INTO former SELECT seq, data, leaf_hash FROM audit_entries ORDER BY seq;
DROP TABLE audit_entries;
ALTER TABLE former RENAME TO audit_entries;
UPDATE alembic_version SET version_num = 'core_0001' WHERE version_num = 'core_0002';
COMMIT;
"""


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    with Commands(os.environ) as running:
        yield running


def make_older(root: Path, *, more: int = 0) -> Place:
    """A home of the former version, whose log has so many entries more than a new one's."""
    place = make_home(root)
    if more:
        with opened(place) as home:
            home.store.write_group([put(f"name-{number % 10}", "x" * 500) for number in range(more)])
    connection = sqlite3.connect(place.database)
    connection.executescript(AS_BEFORE)
    connection.close()
    return place


@contextmanager
def store_of(place: Place) -> Iterator[Store]:
    """The store as it is, whatever version keeps it."""
    store = open_store(place.home, load_config(place.home), SystemClock())
    try:
        yield store
    finally:
        store.close()


def kept(place: Place) -> tuple[frozenset[str], list[StoredEntry]]:
    """The version of a home's schema and its log."""
    with store_of(place) as store, store.snapshot() as connection:
        return store.revisions(), list(read_entries(connection))


def verify_moved(place: Place, before: list[StoredEntry]) -> None:
    """Hold a home to what was in its log before, and to one entry that tells of the migration."""
    revisions, log = kept(place)
    assert revisions == HEADS
    assert log[: len(before)] == before
    with opened(place) as home:
        logged = [entry["action"] for entry in entries(home.store)]
    assert logged.count("home.migrate") == 1
    verify_whole(place)


def places(all_places: Sequence[Kill], wanted: int) -> Sequence[Kill]:
    """So many of the places to kill at, over the whole way, with the first and the last of them."""
    return [all_places[0], *all_places[:: -max(1, len(all_places) // wanted)]]


@pytest.mark.parametrize("more", [0, LONG], ids=["a short log", "a long log"])
def test_the_log_s_migration_killed_at_any_step_is_done_with_its_entry_or_not_at_all(
    more: int, commands: Commands, tmp_path: Path
) -> None:
    older = make_older(tmp_path / "older", more=more)
    former = kept(older)
    assert "core_0001" in former[0]
    counted = older.copy(tmp_path / "place")
    arguments = ("--home", str(counted.home), "ca", "show")
    ended, calls = commands.count_calls(*arguments, state=counted.state, calls=CALLS)
    ended.verify(0)
    verify_moved(counted, former[1])
    tried = places(kills(calls), PLACES)
    assert len(tried) > 3, calls
    done = []
    for kill in tried:
        place = older.copy(tmp_path / "place")
        commands.run(*arguments, state=place.state, kill=kill).verify(-9)
        found = kept(place)
        done.append(found[0] == HEADS)
        assert done[-1] or found == former, kill
        commands.run(*arguments, state=place.state).verify(0)
        verify_moved(place, former[1])
    assert set(done) == {True, False}


def test_on_a_disk_without_room_it_is_refused_before_it_begins(commands: Commands, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        older = make_older(disk / "older", more=LONG)
        former = kept(older)
        content = older.database.read_bytes()
        fill(disk / "ballast", leave=512)
        refused = commands.run("--home", str(older.home), "ca", "show", state=older.state).verify(3)
        assert "MiB of free space" in refused.stderr
        assert "free space, then repeat the command" in refused.stderr
        assert older.database.read_bytes() == content
        assert kept(older) == former
        (disk / "ballast").unlink()
        roomy = older.copy(tmp_path / "roomy")
    commands.run("--home", str(roomy.home), "ca", "show", state=roomy.state).verify(0)
    verify_moved(roomy, former[1])


@pytest.mark.parametrize("free", [64, 400], ids=lambda free: f"{free} pages free")
def test_on_a_disk_that_fills_up_half_way_it_is_undone(free: int, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        older = make_older(disk / "older", more=LONG)
        former = kept(older)
        fill(disk / "ballast", leave=free)
        # As after a command that found the room it looks for first.
        with store_of(older) as store, pytest.raises(StoreUnwritable), store.exclusive() as connection:
            migrate(connection)
        (disk / "ballast").unlink()
        assert kept(older) == former
