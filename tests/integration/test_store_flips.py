"""A changed byte of a store is found, or changes nothing that anybody reads. It is never another error.

Every file of a small home that has rows in every table: the database and its write-ahead log, as ``byteflips`` tries
them, and the settings, the seal key, the recovery key, the anchor and the writers' lock. By default a sample whose
offsets differ from run to run, and which a failure names; with SWARMSEC_SOAK=1 every byte.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import pytest

from swarmsec.clock import SystemClock
from swarmsec.config import load_config
from swarmsec.errors import Denied, IntegrityFailure, NotFound, UsageProblem
from swarmsec.keys.recovery import parse_recovery_key
from swarmsec.storage.anchor import AnchorFile
from swarmsec.storage.checking import verify_database
from swarmsec.storage.log import read_head
from swarmsec.storage.rows import select_rows
from swarmsec.storage.schema import read_revisions, verify_known
from swarmsec.storage.store import Store
from swarmsec.storage.tables import audit_entries, metadata
from swarmsec.wiring.homes.home import open_store
from tests.integration.byteflips import HEADER, Flips, Look, Tally
from tests.integration.fulldisk import small_disk
from tests.integration.fullhome import make_full_home
from tests.integration.storecontract import put
from tests.integration.storefixtures import Place, opened

SOAK: Final = bool(os.environ.get("SWARMSEC_SOAK"))
SMALL_PAGE: Final = 1024
"""The least that leaves nothing out: with it the database is a third as large."""
SAMPLE: Final = 800
SAMPLE_AS_MADE: Final = 30_000 if SOAK else 400
SMALL_SAMPLE: Final = 10**9 if SOAK else 30
CHECK: Final = 400 if SOAK else 40
"""One in so many of the changes that SQLite does not notice is judged by the program all the same."""
SEALED: Final = ("ca/root/1", "ca/token/worker", "core/backup-mac-key")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return make_full_home(tmp_path_factory.mktemp("flips") / "place", page=SMALL_PAGE)


@pytest.fixture(scope="module")
def place_as_made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return make_full_home(tmp_path_factory.mktemp("flips-as-made") / "place", page=4096)


def stored(store: Store) -> list[object]:
    """Everything that the database of a home answers, over one connection."""
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


def looks_at_store(place: Place) -> list[Look]:
    """The two ways to look at a whole database: by the full check, and as commands open the home."""

    def look() -> object:
        # Each time anew: a kept connection may know pages from before a change in the same tick of the clock.
        store = open_store(place.home, load_config(place.home), SystemClock())
        try:
            return stored(store)
        finally:
            store.close()

    return [look, lambda: answered(place)]


def looks_at_log(place: Place) -> list[Look]:
    """The way to look at a write-ahead log: what it has lost, the anchor alone tells."""

    def look() -> object:
        with opened(place) as home:
            home.store.anchor = None
            return [home.findings, stored(home.store)]

    return [look]


LOOKS: Final = {"state.db": looks_at_store, "state.db-wal": looks_at_log}


def sweep_part(place: Place, scratch: Path, name: str, tried: Sequence[int]) -> Tally:
    """Change a part of one file's bytes, in a copy of the home in memory; runs in a process of its own."""
    with small_disk(scratch) as disk:
        copy = place.copy(disk / "place")
        return Flips(copy.home / name, copy.database, LOOKS[name](copy), CHECK).sweep(tried)


def sweep(place: Place, scratch: Path, name: str, tried: Sequence[int]) -> Tally:
    """Change bytes of one file of a home, by a process a core."""
    workers = len(os.sched_getaffinity(0))
    total = Tally()
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        parts = [
            pool.submit(sweep_part, place, scratch / f"part-{part}", name, tried[part::workers])
            for part in range(workers)
        ]
        for part in parts:
            total.add(part.result())
    assert total.tried == len(tried)
    return total


def verify_swept(total: Tally) -> None:
    """Nothing was wrong, and the program was asked."""
    counts = f"{total.judged} judged, {total.repeated} as an earlier one, {total.checked} judged as a check"
    print(f"{total.tried} changes: {counts}")
    assert not total.wrong, "\n".join(total.wrong)
    assert total.judged > 0


def offsets(size: int, sample: int, header: int = 0) -> Sequence[int]:
    """Offsets to change: the header, and of the rest every ``k``-th from a random start."""
    step = max(1, size // sample)
    return [*range(header), *range(header + random.randrange(step), size, step)]


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


def test_a_changed_byte_of_the_database_is_found_or_harmless(place: Place, tmp_path: Path) -> None:
    size = place.database.stat().st_size
    tried = range(size) if SOAK else offsets(size, SAMPLE, HEADER)
    verify_swept(sweep(place, tmp_path, "state.db", tried))


def test_a_changed_byte_in_pages_as_large_as_a_home_is_made_with(place_as_made: Place, tmp_path: Path) -> None:
    tried = offsets(place_as_made.database.stat().st_size, SAMPLE_AS_MADE)
    verify_swept(sweep(place_as_made, tmp_path, "state.db", tried))


def test_a_changed_byte_of_the_write_ahead_log_is_found_or_harmless(place: Place, tmp_path: Path) -> None:
    with opened(place.copy(tmp_path / "open")) as home:
        # As in a process without the keys, which moves the anchor and signs nothing after that.
        home.store.anchor = AnchorFile(home.anchor_path, home.store_id)
        home.store.write(put("often-changed", "last"))
        home.store.anchor_if_due(now=True)
        left = Place(root=tmp_path / "open").copy(tmp_path / "left")
    size = (left.home / "state.db-wal").stat().st_size
    tried = range(size) if SOAK else offsets(size, SAMPLE // 10)
    verify_swept(sweep(left, tmp_path, "state.db-wal", tried))


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


def test_a_changed_byte_of_the_writers_lock_is_harmless(place: Place) -> None:
    path = place.home / "state.db.writer"
    size = path.stat().st_size
    assert wrong_after(path, offsets(size, SMALL_SAMPLE), lambda: answered(place)) == []


def test_a_changed_byte_of_the_recovery_key_is_refused_or_a_comment(place: Place) -> None:
    size = place.recovery.stat().st_size

    def recipient() -> str:
        return parse_recovery_key(place.recovery.read_bytes()).recipient

    assert wrong_after(place.recovery, offsets(size, SMALL_SAMPLE), recipient, UsageProblem) == []
