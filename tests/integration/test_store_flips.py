"""A changed byte of a store is found, or changes nothing that anybody reads. It is never another error.

Every file of a small home: the database, its write-ahead log, the settings, the seal key and the anchor. By default
a sample whose offsets differ from run to run, and which a failure names; with SWARMSEC_SOAK=1 every byte.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from swarmsec.clock import SystemClock
from swarmsec.errors import Denied, IntegrityFailure, NotFound, UsageProblem
from swarmsec.storage.checking import verify_database
from swarmsec.storage.database import open_engine, parse_url
from swarmsec.storage.log import read_head
from swarmsec.storage.rows import select_rows
from swarmsec.storage.schema import read_revisions, verify_known
from swarmsec.storage.store import Store
from swarmsec.storage.tables import audit_entries, metadata
from tests.integration.storefixtures import Place, make_home, opened

SOAK = bool(os.environ.get("SWARMSEC_SOAK"))
SAMPLE = 300
PARTS = 32 if SOAK else 1
"""Every byte of the database takes more than an hour, so that a soak takes every 32nd, from each of 32 starts."""
HOME_SAMPLE = 20_000 if SOAK else 50
SMALL_SAMPLE = 10**9 if SOAK else 40
SEALED = ("ca/root/1", "ca/token/worker", "core/backup-mac-key")
HEADER = 100
"""The header of a SQLite file: every byte of it is always tried."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return make_home(tmp_path_factory.mktemp("flips") / "place")


def stored(store: Store) -> list[object]:
    """Everything that the database of a home answers, over one new connection."""
    with store.snapshot() as connection:
        revisions = read_revisions(connection)
        verify_known(revisions)
        report = verify_database(connection)
        entries = connection.execute(audit_entries.select().order_by(audit_entries.c.seq)).all()
        tables = [table for name, table in sorted(metadata.tables.items()) if table is not audit_entries]
        rows = [dict(row) for table in tables for row in select_rows(connection, table)]
        return [revisions, report, entries, rows, read_head(connection)]


def answered(place: Place) -> list[object]:
    """What a home answers to a command that opens it, its keys and everything under them."""
    with opened(place) as home:
        home.store.anchor = None
        keys = home.keys()
        with home.store.reading() as transaction:
            opened_keys = [keys.get(transaction, name).reveal() for name in SEALED]
            return [home.findings, home.config, opened_keys, transaction.settings.get("cluster_id")]


def offsets(size: int, sample: int, header: int = 0) -> Iterator[int]:
    """Offsets to change: the header, and of the rest every ``k``-th from a random start."""
    yield from range(header)
    step = max(1, size // sample)
    yield from range(header + random.randrange(step), size, step)


def flipped(data: bytes, offset: int) -> bytes:
    """The data with one byte changed: one bit of it, or all of them."""
    mask = random.choice((0x01, 0x04, 0x20, 0x80, 0xFF))
    return data[:offset] + bytes([data[offset] ^ mask]) + data[offset + 1 :]


def wrong_after(path: Path, tried: Iterable[int], look: Callable[[], object], *refusals: type[Exception]) -> list[str]:
    """What changes to one file did beside being found or harmless."""
    whole, expected = path.read_bytes(), look()
    wrong: list[str] = []
    found: object
    for offset in tried:
        changed = flipped(whole, offset)
        path.write_bytes(changed)
        try:
            found = look()
        except IntegrityFailure:
            found = expected
        except refusals:
            found = expected
        except Exception as error:
            found = error
        if found != expected:
            wrong.append(f"{path.name} byte {offset}, {whole[offset]:02x} to {changed[offset]:02x}: {found!r:.300}")
        # What looking at a damaged file left beside it is no part of the next try.
        for leftover in path.parent.glob("state.db-*"):
            if leftover != path:
                leftover.unlink()
    path.write_bytes(whole)
    assert look() == expected
    return wrong


@pytest.mark.parametrize("part", range(PARTS))
def test_a_changed_byte_of_the_database_is_found_or_harmless(place: Place, part: int) -> None:
    size = place.database.stat().st_size
    tried = range(part, size, PARTS) if SOAK else offsets(size, SAMPLE, HEADER)
    store = Store(open_engine(parse_url("sqlite:///state.db", place.home)), SystemClock(), None)
    assert wrong_after(place.database, tried, lambda: stored(store)) == []
    store.close()


def test_a_home_with_a_changed_byte_of_its_database_is_refused_or_answers_the_same(place: Place) -> None:
    size = place.database.stat().st_size
    assert wrong_after(place.database, offsets(size, HOME_SAMPLE), lambda: answered(place)) == []


def test_a_changed_byte_of_the_anchor_is_found(place: Place) -> None:
    size = place.anchor.stat().st_size
    assert wrong_after(place.anchor, offsets(size, SMALL_SAMPLE), lambda: answered(place)) == []


def test_a_changed_byte_of_the_seal_key_opens_nothing(place: Place) -> None:
    (path,) = place.state.glob("*/seal-*.key")
    size = path.stat().st_size
    assert wrong_after(path, offsets(size, SMALL_SAMPLE), lambda: answered(place), Denied, UsageProblem) == []


def test_a_changed_byte_of_the_settings_is_a_usage_problem_or_a_comment(place: Place) -> None:
    path = place.home / "swarmsec.toml"
    size = path.stat().st_size
    assert wrong_after(path, offsets(size, SMALL_SAMPLE), lambda: answered(place), UsageProblem, NotFound) == []
