"""Leases with fencing counters, and intents: what keeps two processes and two lives of one process in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from swarmsec.clock import unix_seconds
from swarmsec.errors import Changed, NotFound
from swarmsec.services.records import Intent, Lease
from swarmsec.storage import tables

if TYPE_CHECKING:
    from swarmsec.storage.transaction import Transaction


class Leases:
    """Rows that say who may do a piece of work, until when, and how often it changed hands."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def take(self, name: str, holder: str, seconds: int) -> int | None:
        """Take or renew a lease.

        Args:
            name: the work.
            holder: who asks; the same holder renews.
            seconds: how long it lasts without renewal.

        Returns:
            the fencing counter to carry with every write, or None while somebody else holds the lease.
        """
        now = unix_seconds(self._transaction.clock)
        row = self._transaction.find(tables.leases, name=name)
        if row is None:
            self._transaction.insert(tables.leases, name=name, holder=holder, fence=1, expires=now + seconds)
            return 1
        renews = row["holder"] == holder and row["expires"] > now
        if not renews and row["expires"] > now:
            return None
        fence = int(row["fence"]) if renews else int(row["fence"]) + 1
        self._transaction.update(tables.leases, row, holder=holder, fence=fence, expires=now + seconds)
        return fence

    def holder(self, name: str) -> str | None:
        """Who holds the lease now, or None."""
        row = self._transaction.find(tables.leases, name=name)
        held = row is not None and row["expires"] > unix_seconds(self._transaction.clock)
        return str(row["holder"]) if row is not None and held else None

    def find(self, name: str) -> Lease | None:
        """The lease as it was taken or given back last, or None if it never was."""
        row = self._transaction.find(tables.leases, name=name)
        return (
            None if row is None else Lease(holder=row["holder"], fence=int(row["fence"]), expires=int(row["expires"]))
        )

    def verify(self, name: str, fence: int) -> None:
        """Refuse a write of somebody whose lease has gone to another.

        Raises:
            Changed: the counter moved on, or the lease ran out.
        """
        row = self._transaction.find(tables.leases, name=name)
        if row is None or row["fence"] != fence or row["expires"] <= unix_seconds(self._transaction.clock):
            raise Changed(f"the lease {name} is no longer ours", hint="the process that holds it now goes on")

    def release(self, name: str, fence: int) -> None:
        """Give a lease back early; somebody else's is left alone."""
        row = self._transaction.find(tables.leases, name=name)
        if row is not None and row["fence"] == fence:
            self._transaction.update(tables.leases, row, expires=0)


class Intents:
    """What was begun outside the database and has no outcome yet."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def open(self, intent: Intent) -> None:
        """Remember a beginning; its entry goes into the same transaction."""
        self._transaction.insert(tables.intents, **asdict(intent))

    def close(self, request_id: str) -> Intent:
        """Conclude; the outcome's entry goes into the same transaction.

        Raises:
            NotFound: nothing was begun under this id, or somebody concluded it.
        """
        row = self._transaction.find(tables.intents, request_id=request_id)
        if row is None:
            raise NotFound(f"no unfinished action {request_id}")
        self._transaction.delete(tables.intents, row)
        return Intent(**{name: row[name] for name in Intent.__slots__})

    def all(self) -> Sequence[Intent]:
        """Every beginning without an outcome, oldest first."""
        rows = self._transaction.select(tables.intents)
        found = [Intent(**{name: row[name] for name in Intent.__slots__}) for row in rows]
        return sorted(found, key=lambda intent: intent.started)
