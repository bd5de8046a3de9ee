"""The log: appending to it, verifying a long one, proving an entry, and what it adds to a certificate.

The first two compare entries with a bare insert of the same bytes. The others have an aim of their own, which stands in
the place of the peer. ``SWARMSEC_BENCH_ENTRIES`` makes the long log shorter.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.logged_certificate import compare_logged, make_home
from benchmarks.measure import Figure, measure_pairs
from swarmsec.audit.actions import Action
from swarmsec.audit.entry import Event, ObjectRef
from swarmsec.services.log.prove_entries import prove_entry
from swarmsec.services.requester import SERVICE
from swarmsec.storage.checking import verify_store
from swarmsec.storage.transaction import Transaction
from swarmsec.wiring.homes.home import Home
from swarmsec.wiring.log.checkpointing import sign_log

ENTRIES = int(os.environ.get("SWARMSEC_BENCH_ENTRIES", "1000000"))
GROUP = 64
FILL_GROUP = 2000
ALONE = 150
GROUPS = 20
PROOFS = 200
VERIFY_SECONDS = 60.0
PROOF_MS = 5.0
APPEND_AIM = 0.5


def run() -> list[Figure]:
    """Every figure of the log."""
    with tempfile.TemporaryDirectory(prefix="swarmsec-bench-", dir=Path.cwd()) as name:
        os.environ["SWARMSEC_STATE"] = str(Path(name) / "state")
        former = os.umask(0o077)
        try:
            home = make_home(Path(name) / "home")
            bare = _Bare(Path(name) / "bare.db")
            figures = [
                _append("append an entry, alone", home, bare, size=1, commits=ALONE),
                _append(f"append entries, groups of {GROUP}", home, bare, size=GROUP, commits=GROUPS),
                *compare_logged(Path(name)),
                *_long_log(home),
            ]
            home.close()
            return figures
        finally:
            os.umask(former)


EVENT = SERVICE.event(
    Action.CA_ISSUE,
    ObjectRef(type="certificate", id="7f" * 20, name="k7dqv6n8tr3x1c5b2m9f0g4hj"),
    fields={"profile": "swarm-worker", "via": "benchmark", "spki_sha256": "5e" * 32},
)


def _log_one(transaction: Transaction, event: Event = EVENT) -> None:
    transaction.log(event)


def _append(name: str, home: Home, bare: _Bare, *, size: int, commits: int) -> Figure:
    def ours() -> float:
        begun = time.perf_counter()
        for _ in range(commits):
            for outcome in home.store.write_group([_log_one] * size):
                if outcome.error is not None:
                    raise outcome.error
        return size * commits / (time.perf_counter() - begun)

    return measure_pairs(
        name,
        "bare SQLite, rows of the same size",
        "entries/s",
        ours=ours,
        theirs=lambda: bare.round(size, commits),
        aim=APPEND_AIM,
        at_least=True,
        rounds=9,
    )


class _Bare:
    """Inserts rows as large as our entries."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        for setting in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "wal_autocheckpoint=2000"):
            self._connection.execute(f"PRAGMA {setting}")
        self._connection.execute("CREATE TABLE entries (seq INTEGER PRIMARY KEY, data BLOB, leaf_hash BLOB)")
        self._next = 0

    def round(self, size: int, commits: int) -> float:
        data, leaf = os.urandom(560), os.urandom(32)
        begun = time.perf_counter()
        for _ in range(commits):
            rows = [(self._next + at, data, leaf) for at in range(size)]
            self._next += size
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT INTO entries VALUES (?, ?, ?)", rows)
            self._connection.execute("COMMIT")
        return size * commits / (time.perf_counter() - begun)


def _long_log(home: Home) -> list[Figure]:
    while home.store.head().size < ENTRIES:
        home.store.write_group([_log_one] * min(FILL_GROUP, ENTRIES - home.store.head().size))
    head, _ = sign_log(home.store, home.keys())
    home.store.truncate_write_ahead_log()
    size_on_disk = (home.path / "state.db").stat().st_size
    seconds = _seconds(lambda: verify_store(home.store))
    wanted = range(0, head.size, head.size // PROOFS)
    millis = [_seconds(partial(_prove, home, seq), time.process_time) * 1000 for seq in wanted]
    return [
        _absolute(f"verify {head.size:,} entries", "s", [seconds], VERIFY_SECONDS),
        _absolute("prove an entry of these", "ms", millis, PROOF_MS),
        _absolute("bytes an entry on disk", "bytes", [size_on_disk / head.size], 1024.0),
    ]


def _prove(home: Home, seq: int) -> None:
    # Each opens the database anew.
    with home.store.reading() as transaction:
        prove_entry(transaction, seq)


def _seconds(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    begun = clock()
    work()
    return clock() - begun


def _absolute(name: str, unit: str, values: list[float], aim: float) -> Figure:
    median = statistics.median(values)
    return Figure(
        name=name,
        peer="the aim",
        unit=unit,
        ours=median,
        theirs=aim,
        ratio=median / aim,
        spread=(min(values) / aim, max(values) / aim),
        aim=1,
        at_least=False,
    )
