"""Appending to the log inside a transaction.

The head is read from the database under the writer's lock, so that two processes never give out one sequence
number; entries are held back and written together at the end of the transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, select

from swarmsec.audit.chain import StoredEntry
from swarmsec.audit.entry import (
    GENESIS,
    HASH_BYTES,
    Event,
    Place,
    RowChange,
    encode_entry,
    leaf_hash,
)
from swarmsec.audit.errors import EntryInvalid
from swarmsec.storage.insertbuffer import InsertBuffer
from swarmsec.storage.stamps import Moment, Stamps
from swarmsec.storage.statements import fetch_all
from swarmsec.storage.tables import audit_entries

_BATCH = 2000


class LogHead(NamedTuple):
    """The newest entry: ``size`` entries exist, the last one's leaf hash is ``last_hash``."""

    size: int
    last_hash: bytes


_NEWEST = select(audit_entries.c.seq, audit_entries.c.leaf_hash).order_by(audit_entries.c.seq.desc()).limit(1)
_ONE = select(audit_entries).where(audit_entries.c.seq == bindparam("seq"))


def read_head(connection: Connection) -> LogHead:
    """The head as the database has it.

    Raises:
        EntryInvalid: the newest entry's columns hold another kind of value than we write.
    """
    found = fetch_all(connection, _NEWEST, {})
    if not found:
        return LogHead(size=0, last_hash=GENESIS)
    seq, last_hash = found[0]
    if not isinstance(seq, int) or not isinstance(last_hash, bytes) or len(last_hash) != HASH_BYTES:
        raise EntryInvalid("the newest log entry: expected its number and hash, got something else")
    return LogHead(size=seq + 1, last_hash=last_hash)


class LogAppender:
    """Gives entries their place and keeps them, and the new rows they speak of, until ``flush``.

    Args:
        connection: of a writing transaction.
        stamps: times and ids. The clocks are read once: all entries become true together, when the transaction is on
            disk.
        head: the newest entry, where it is known without a look.
        conceal: changes what must not stand in an entry in clear.
    """

    def __init__(
        self,
        connection: Connection,
        stamps: Stamps,
        head: LogHead | None = None,
        conceal: Callable[[Event], Event] | None = None,
    ) -> None:
        self._stamps = stamps
        self._moment: Moment | None = None
        self._conceal = conceal
        self._size, self._last_hash = head or read_head(connection)
        self._pending: list[tuple[int, bytes, bytes]] = []
        self.inserts = InsertBuffer(connection)

    @property
    def head(self) -> LogHead:
        """The head with what is pending."""
        return LogHead(self._size, self._last_hash)

    def append(self, event: Event, state: Sequence[RowChange]) -> int:
        """Place an entry and return its sequence number."""
        if self._conceal is not None:
            event = self._conceal(event)
        moment = self._moment
        if moment is None:
            moment = self._moment = self._stamps.moment()
        id_head, time, mono = moment
        seq = self._size
        place = Place(seq, id_head + self._stamps.id_tail(), time, mono, self._last_hash)
        data = encode_entry(event, place, state)
        hashed = leaf_hash(data)
        self._pending.append((seq, data, hashed))
        self._size, self._last_hash = seq + 1, hashed
        return seq

    def mark(self) -> tuple[LogHead, int]:
        """Where to return to when a unit of a group fails."""
        return self.head, len(self._pending)

    def rewind(self, mark: tuple[LogHead, int]) -> None:
        """Forget the entries since ``mark``, and the rows not written yet."""
        self.inserts.forget()
        (self._size, self._last_hash), kept = mark
        del self._pending[kept:]

    def flush(self) -> None:
        """Write what is pending."""
        self.inserts.flush()
        if self._pending:
            self.inserts.write(audit_entries, self._pending)
            self._pending = []


def head_at(connection: Connection, size: int) -> LogHead | None:
    """The head as it was when the log had ``size`` entries, or None if it has fewer."""
    statement = select(audit_entries.c.leaf_hash).where(audit_entries.c.seq == size - 1)
    row = connection.execute(statement).first()
    return None if row is None else LogHead(size=size, last_hash=row.leaf_hash)


def read_entries(connection: Connection, first: int = 0) -> Iterator[StoredEntry]:
    """The stored entries from a sequence number on, ascending, in batches.

    Raises:
        EntryInvalid: a column holds another kind of value than we write.
    """
    statement = select(audit_entries).order_by(audit_entries.c.seq).limit(_BATCH)
    while True:
        batch = connection.execute(statement.where(audit_entries.c.seq >= first)).all()
        for row in batch:
            yield _stored(row, first)
            first = row.seq + 1
        if len(batch) < _BATCH:
            return


def read_entries_backwards(connection: Connection) -> Iterator[StoredEntry]:
    """The stored entries from the newest one back, in batches.

    Raises:
        EntryInvalid: as ``read_entries``.
    """
    before = read_head(connection).size
    statement = select(audit_entries).order_by(audit_entries.c.seq.desc()).limit(_BATCH)
    while True:
        batch = connection.execute(statement.where(audit_entries.c.seq < before)).all()
        for row in batch:
            yield _stored(row, before - 1)
            before = row.seq
        if len(batch) < _BATCH:
            return


class LogEntries:
    """The log for those who read it; implements the port of the same purpose in ``services.ports``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def since(self, seq: int) -> Iterator[StoredEntry]:
        """Entries from a sequence number on, ascending."""
        return read_entries(self._connection, seq)

    def get(self, seq: int) -> StoredEntry | None:
        """One entry, or None."""
        found = fetch_all(self._connection, _ONE, {"seq": seq})
        return _stored(found[0], seq) if found else None

    def newest_first(self) -> Iterator[StoredEntry]:
        """Every entry, from the newest one back."""
        return read_entries_backwards(self._connection)


def _stored(row: Sequence[Any], expected: int) -> StoredEntry:
    # SQLite keeps a value of any kind in any column, whatever the table says.
    seq, data, stored_hash = row
    whole = isinstance(seq, int) and isinstance(data, bytes) and isinstance(stored_hash, bytes)
    if not whole or len(stored_hash) != HASH_BYTES:
        place = seq if isinstance(seq, int) else expected
        raise EntryInvalid(f"log entry {place}: expected an entry and its hash, got something else", seq=place)
    return StoredEntry(seq=seq, data=data, leaf_hash=stored_hash)
