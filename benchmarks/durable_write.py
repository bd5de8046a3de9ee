"""One durable write with its log entry, beside the bare database writing the very same rows.

Both sides have the same schema, indexes and settings and commit with a full sync. The peer is Python's ``sqlite3``
with prepared statements: it is handed the finished rows and does nothing but insert them, write by write, the row
and then its entry, as callers with a write each would. Ours checks, digests, words the entry, canonicalises, hashes
and chains it, and keeps the anchor. The last figure gives the peer another advantage: it loads the rows of a group
in bulk, table by table.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Figure, measure_pairs
from ca.identity import NodeRole
from swarmsec.audit.actions import Action
from swarmsec.clock import SystemClock
from swarmsec.config import Config
from swarmsec.services.ca.issued_certificates import reference_of
from swarmsec.services.ports import Transaction
from swarmsec.services.records import CertificateRecord, CertificateStatus
from swarmsec.services.requester import SERVICE
from swarmsec.storage.anchor import AnchorFile
from swarmsec.storage.database import SQLITE_SETTINGS
from swarmsec.storage.store import Store
from swarmsec.storage.tables import audit_entries, certificates
from swarmsec.wiring.homes.home import open_store

CERTIFICATE_BYTES = 550
GROUP = 64
ALONE_WRITES = 150
GROUPS = 12
AIM = 0.7


def run() -> list[Figure]:
    """Measure alone and in groups."""
    with tempfile.TemporaryDirectory(prefix="swarmsec-bench-", dir=Path.cwd()) as name:
        directory = Path(name)
        ours, peer = _Ours(directory / "ours"), _Bare(directory / "bare")
        try:
            return [
                _compare("durable write, alone", ours, peer, size=1, commits=ALONE_WRITES),
                _compare(f"durable write, groups of {GROUP}", ours, peer, size=GROUP, commits=GROUPS),
                _compare("the same, peer in bulk", ours, peer, size=GROUP, commits=GROUPS, in_bulk=True),
            ]
        finally:
            ours.close()
            peer.close()


def _compare(name: str, ours: _Ours, peer: _Bare, *, size: int, commits: int, in_bulk: bool = False) -> Figure:
    # The peer inserts what ours has just written, so the rows are the same to the byte.
    return measure_pairs(
        name,
        "bare SQLite, the same rows",
        "writes/s",
        ours=lambda: ours.round(size, commits),
        theirs=lambda: peer.round(size, commits, ours, in_bulk=in_bulk),
        aim=AIM,
        at_least=True,
        rounds=25,
    )


class _Ours:
    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.store: Store = open_store(directory, Config(), SystemClock())
        self.store.migrate()
        self.store.anchor = AnchorFile(directory / "anchor", "benchmark")
        self.path = directory / "state.db"
        self._records = _records()

    def round(self, size: int, commits: int) -> float:
        groups = [[next(self._records) for _ in range(size)] for _ in range(commits)]
        begun = time.perf_counter()
        for group in groups:
            for outcome in self.store.write_group([_Write(record) for record in group]):
                if outcome.error is not None:
                    raise outcome.error
        return size * commits / (time.perf_counter() - begun)

    def newest(self, count: int) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
        """The rows of the last round."""
        reading = sqlite3.connect(self.path)
        try:
            return tuple(  # type: ignore[return-value]  # two lists, one for each table
                reading.execute(f"SELECT * FROM {table} ORDER BY 1 DESC LIMIT ?", (count,)).fetchall()[::-1]
                for table in (certificates.name, audit_entries.name)
            )
        finally:
            reading.close()

    def close(self) -> None:
        self.store.close()


class _Write:
    """Add one certificate and say so in the log."""

    def __init__(self, record: CertificateRecord) -> None:
        self._record = record

    def __call__(self, transaction: Transaction) -> None:
        transaction.certificates.add(self._record)
        fields = {"profile": self._record.profile, "via": "benchmark", "spki_sha256": self._record.spki_sha256.hex()}
        transaction.log(SERVICE.event(Action.CA_ISSUE, reference_of(self._record), fields=fields))


class _Bare:
    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        schema = open_store(directory, Config(), SystemClock())
        schema.migrate()
        schema.close()
        self._connection = sqlite3.connect(directory / "state.db", isolation_level=None)
        for setting in SQLITE_SETTINGS:
            self._connection.execute(setting)

    def round(self, size: int, commits: int, ours: _Ours, *, in_bulk: bool) -> float:
        rows, entries = ours.newest(size * commits)
        insert_row = _insert(certificates.name, len(rows[0]))
        insert_entry = _insert(audit_entries.name, len(entries[0]))
        execute, many = self._connection.execute, self._connection.executemany
        begun = time.perf_counter()
        for start in range(0, size * commits, size):
            execute("BEGIN IMMEDIATE")
            if in_bulk:
                many(insert_row, rows[start : start + size])
                many(insert_entry, entries[start : start + size])
            else:
                for place in range(start, start + size):
                    execute(insert_row, rows[place])
                    execute(insert_entry, entries[place])
            execute("COMMIT")
        return size * commits / (time.perf_counter() - begun)

    def close(self) -> None:
        self._connection.close()


def _insert(table: str, columns: int) -> str:
    return f"INSERT INTO {table} VALUES ({','.join('?' * columns)})"


def _records() -> Iterator[CertificateRecord]:
    number = 0
    while True:
        number += 1
        der = os.urandom(CERTIFICATE_BYTES)
        yield CertificateRecord(
            id=number,
            serial=os.urandom(20).hex(),
            generation=1,
            profile=NodeRole.WORKER.value,
            role=f"node:{number:025d}",
            subject_id=f"{number:025d}",
            cluster_id="benchmark",
            spki_sha256=os.urandom(32),
            sha256=hashlib.sha256(der).digest(),
            der=der,
            not_before=1_700_000_000,
            not_after=1_707_776_000,
            status=CertificateStatus.VALID,
            revoked=0,
        )
