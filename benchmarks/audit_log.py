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

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from benchmarks.measure import Figure, measure_pairs
from ca.profiles import Profile
from swarmsec.audit.actions import Action
from swarmsec.audit.entry import Event, ObjectRef
from swarmsec.services.authority import Authority, issue_for_host, load_authority
from swarmsec.services.init_authority import init_authority
from swarmsec.services.prove_entries import prove_entry
from swarmsec.services.records import KeyKind
from swarmsec.services.requester import SERVICE
from swarmsec.storage import store as store_module
from swarmsec.storage.checking import verify_store
from swarmsec.storage.transaction import Transaction
from swarmsec.wiring.authority import lifetime_of
from swarmsec.wiring.checkpointing import sign_log
from swarmsec.wiring.creating import NewHome, create_home
from swarmsec.wiring.home import Home, refuse_to_ask

ENTRIES = int(os.environ.get("SWARMSEC_BENCH_ENTRIES", "1000000"))
GROUP = 64
FILL_GROUP = 2000
ALONE = 150
GROUPS = 20
PROOFS = 200
VERIFY_SECONDS = 60.0
PROOF_MS = 5.0
ADDED = 1.15
APPEND_AIM = 0.5


def run() -> list[Figure]:
    """Every figure of the log."""
    with tempfile.TemporaryDirectory(prefix="swarmsec-bench-", dir=Path.cwd()) as name:
        os.environ["SWARMSEC_STATE"] = str(Path(name) / "state")
        former = os.umask(0o077)
        try:
            home = _home(Path(name) / "home")
            bare = _Bare(Path(name) / "bare.db")
            figures = [
                _append("append an entry, alone", home, bare, size=1, commits=ALONE),
                _append(f"append entries, groups of {GROUP}", home, bare, size=GROUP, commits=GROUPS),
                _certificate(_home(Path(name) / "unlogged")),
            ]
            figures += _long_log(home)
            home.close()
            return figures
        finally:
            os.umask(former)


def _home(path: Path) -> Home:
    home = create_home(NewHome(path=path), refuse_to_ask, SERVICE).home
    keys = home.keys()
    home.store.write(
        lambda transaction: init_authority(transaction, keys, SERVICE, cluster_id=None, key_kind=KeyKind.P256)
    )
    return home


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
        self._connection.execute("CREATE TABLE entries (seq BIGINT PRIMARY KEY, data BLOB, leaf_hash BLOB)")
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


class _Silent(Transaction):
    """A transaction that takes entries and writes none."""

    def log(self, event: Event) -> int:
        self._changes = []
        return 0


def _certificate(home: Home) -> Figure:
    keys, lifetime = home.keys(), lifetime_of(home.config)
    authority = home.store.read(lambda transaction: load_authority(transaction, keys, lifetime))
    spki = (
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )

    def timed(kind: type[Transaction]) -> float:
        original, store_module.Transaction = store_module.Transaction, kind  # type: ignore[attr-defined]  # a name that it imports
        try:
            begun = time.perf_counter()
            for _ in range(ALONE):
                home.store.write(lambda transaction: _issue(transaction, authority, spki))
            return (time.perf_counter() - begun) / ALONE * 1e6
        finally:
            store_module.Transaction = original  # type: ignore[attr-defined]  # a name that it imports

    return measure_pairs(
        "a certificate, signed and durable",
        "the same without its entry",
        "µs",
        ours=lambda: timed(Transaction),
        theirs=lambda: timed(_Silent),
        aim=ADDED,
        at_least=False,
        rounds=9,
    )


def _issue(transaction: Transaction, authority: Authority, spki: bytes) -> None:
    issue_for_host(
        transaction,
        authority,
        Profile.SERVER,
        name="bench.example",
        role=None,
        spki_der=spki,
        hosts=["bench.example"],
        requester=SERVICE,
    )


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
