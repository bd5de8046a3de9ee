"""The store: units of work in, durable outcomes out.

Several units can share one transaction (group commit): each runs under its own savepoint, so one that is refused
leaves no trace in the others, and nobody's outcome is known before the transaction is on disk. A unit that raises
``Refusal`` leaves only the entry that records it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from swarmsec.audit.entry import Event
from swarmsec.clock import Clock
from swarmsec.errors import SwarmsecError
from swarmsec.services.ports import Refusal
from swarmsec.storage.anchor import AnchorFile
from swarmsec.storage.database import LOCK_WAIT_SECONDS, WRITE
from swarmsec.storage.errors import translated
from swarmsec.storage.log import LogAppender, LogHead, read_head
from swarmsec.storage.schema import migrate, read_revisions, verify_known
from swarmsec.storage.transaction import Transaction
from swarmsec.storage.writerlock import WriterLock

T = TypeVar("T")
Unit = Callable[[Transaction], T]
"""What one caller wants done in a transaction."""

ANCHOR_INTERVAL_US: Final = 1_000_000
_POSTGRESQL_LOCK: Final = text("SELECT pg_advisory_xact_lock(7091870)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one unit of a group ended: its value, or what it raised."""

    value: Any = None
    error: BaseException | None = None


class Store:
    """One open database.

    Args:
        engine: from ``database.open_engine``.
        clock: time and randomness.
        lock_path: where writers of a SQLite database take turns; None on a server, which has locks of its own.
        lock_wait: seconds to wait for the turn.
    """

    def __init__(
        self, engine: Engine, clock: Clock, lock_path: Path | None, *, lock_wait: float = LOCK_WAIT_SECONDS
    ) -> None:
        self._engine = engine
        self.clock = clock
        self._lock = WriterLock(lock_path, lock_wait) if lock_path else None
        # One thread of this process at a time; the lock file and the database keep processes apart.
        self._turn = threading.Lock()
        self._writer: Connection | None = None
        self.anchor: AnchorFile | None = None
        self._anchored = LogHead(size=0, last_hash=b"")
        self._anchored_at = -ANCHOR_INTERVAL_US
        self._anchor_failed = False
        self._head: LogHead | None = None

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a file of ours."""
        return self._engine.dialect.name == "sqlite"

    @property
    def engine(self) -> Engine:
        """The engine, for the parts that look at the database as a whole."""
        return self._engine

    def write(self, unit: Unit[T]) -> T:
        """Run one unit and return its value once it is durable.

        Raises:
            what the unit raises; then nothing of it is kept but the entry of a ``Refusal``.
        """
        (outcome,) = self.write_group([unit])
        if outcome.error is not None:
            raise outcome.error
        value: T = outcome.value
        return value

    def write_group(self, units: Sequence[Unit[Any]]) -> list[Outcome]:
        """Run units in one transaction.

        Returns:
            their outcomes in order; if the transaction itself fails, that failure for every unit.
        """
        try:
            if self._anchor_failed:
                self.anchor_if_due(now=True)
            with self._writing() as (connection, appender):
                outcomes = [self._run(unit, connection, appender, alone=len(units) == 1) for unit in units]
                appender.flush()
        except Exception as error:  # noqa: BLE001  # whatever stopped the commit is every caller's answer
            return [Outcome(error=error) for _ in units]
        self._head = appender.head
        self._anchor_after_commit()
        return outcomes

    def revisions(self) -> frozenset[str]:
        """The schema revisions that the database is at."""
        with translated(), self._engine.connect() as connection, connection.begin():
            return read_revisions(connection)

    def migrate(self, event: Event | None = None) -> None:
        """Bring the schema to this version's, in one transaction; ``event`` is its entry, None for a new store."""
        with self._locked_connection() as connection:
            verify_known(read_revisions(connection))
            migrate(connection)
            if event is not None:
                appender = LogAppender(connection, self.clock)
                appender.append(event, ())
                appender.flush()
                self._head = appender.head

    def truncate_write_ahead_log(self) -> None:
        """Leave no erased row behind in SQLite's write-ahead log."""
        if self.is_sqlite:
            with translated(), self._engine.connect() as connection:
                driver = connection.connection.driver_connection
                if driver is not None:
                    driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """A consistent view; writing through it fails."""
        with translated(), self._engine.connect() as connection, connection.begin():
            yield Transaction(connection, None, self.clock)

    def read(self, unit: Unit[T]) -> T:
        """Run a unit that only reads."""
        with self.reading() as transaction:
            return unit(transaction)

    @property
    def is_anchor_failing(self) -> bool:
        """Whether the anchor could not follow the last commit; then the next write is refused."""
        return self._anchor_failed

    def head(self) -> LogHead:
        """The newest entry, as the database has it now."""
        with translated(), self._engine.connect() as connection, connection.begin():
            return read_head(connection)

    def anchor_if_due(self, *, now: bool = False) -> None:
        """Move the anchor to the newest head, at most once a second unless told ``now``."""
        head = self._head
        if self.anchor is None or head is None or head.size <= self._anchored.size:
            return
        time = self.clock.monotonic_us()
        if now or time - self._anchored_at >= ANCHOR_INTERVAL_US:
            self.anchor.advance(head)
            self._anchored, self._anchored_at, self._anchor_failed = head, time, False

    def _anchor_after_commit(self) -> None:
        # What is committed is answered; but without its anchor nothing more is written.
        try:
            self.anchor_if_due()
        except SwarmsecError:
            self._anchor_failed = True

    def close(self) -> None:
        """Write the last anchor and let go of the database."""
        try:
            self.anchor_if_due(now=True)
        finally:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
            if self._lock is not None:
                self._lock.close()
            self._engine.dispose()

    @contextmanager
    def _writing(self) -> Iterator[tuple[Connection, LogAppender]]:
        with self._locked_connection() as connection:
            yield connection, LogAppender(connection, self.clock)

    @contextmanager
    def _locked_connection(self) -> Iterator[Connection]:
        with translated(), self._turn, self._lock.held() if self._lock else nullcontext():
            connection = self._writing_connection()
            try:
                with connection.begin():
                    if not self.is_sqlite:
                        connection.execute(_POSTGRESQL_LOCK)
                    yield connection
            except BaseException:
                # A connection that failed may be in any state; the next unit gets a new one.
                self._writer = None
                connection.close()
                raise

    def _writing_connection(self) -> Connection:
        if self._writer is None:
            self._writer = self._engine.connect().execution_options(**{WRITE: True})
        return self._writer

    def _run(self, unit: Unit[Any], connection: Connection, appender: LogAppender, *, alone: bool) -> Outcome:
        mark = appender.mark()
        transaction = Transaction(connection, appender, self.clock)
        connection.exec_driver_sql("SAVEPOINT unit")
        try:
            value = unit(transaction)
            transaction.verify_logged()
        except Refusal as refusal:
            self._undo(connection, appender, mark)
            Transaction(connection, appender, self.clock).log(refusal.event)
            return Outcome(error=refusal.error)
        except Exception as error:
            self._undo_after(error, connection, appender, mark)
            if alone or getattr(error, "connection_invalidated", False):
                raise
            return self._failed(error)
        connection.exec_driver_sql("RELEASE SAVEPOINT unit")
        return Outcome(value=value)

    @staticmethod
    def _failed(error: Exception) -> Outcome:
        try:
            with translated():
                raise error
        except Exception as ours:  # noqa: BLE001  # the translated error is the unit's outcome
            return Outcome(error=ours)

    def _undo_after(
        self, error: Exception, connection: Connection, appender: LogAppender, mark: tuple[LogHead, int]
    ) -> None:
        # A full disk or a lost server ends the whole transaction, and its savepoints with it.
        try:
            self._undo(connection, appender, mark)
        except SQLAlchemyError:
            raise error from None

    @staticmethod
    def _undo(connection: Connection, appender: LogAppender, mark: tuple[LogHead, int]) -> None:
        connection.exec_driver_sql("ROLLBACK TO SAVEPOINT unit")
        connection.exec_driver_sql("RELEASE SAVEPOINT unit")
        appender.rewind(mark)
