"""The turn to write: one thread of one process at a time, inside a transaction that is on disk when the turn ends.

A class that is entered, and not a generator: every durable write passes here, alone with a processor that has forgotten
everything while it waited for the disk.
"""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from sqlalchemy import Connection, Engine

from swarmsec.clock import Clock
from swarmsec.storage.database import WRITE, driver_of, opened_file, present_file, sqlite_path
from swarmsec.storage.errors import StoreUnwritable, translated
from swarmsec.storage.log import LogHead
from swarmsec.storage.writerlock import WriterLock

_BEGIN_SQLITE: Final = "BEGIN IMMEDIATE"
_BEGIN_POSTGRESQL: Final = "SELECT pg_advisory_xact_lock(7091870)"
"""Its driver begins a transaction with the first statement; this one waits for the writer's turn."""


class WritingTurn:
    """Entered, it gives the writing connection; left, the transaction is committed, or undone if something was raised.

    Args:
        engine: of the database.
        clock: tells since when a step to disk is under way.
        lock_path: where writers of a SQLite database take turns; None on a server, which has locks of its own.
        lock_wait: seconds to wait for the turn.
    """

    def __init__(self, engine: Engine, clock: Clock, lock_path: Path | None, lock_wait: float) -> None:
        self._engine = engine
        self._clock = clock
        self._begin = _BEGIN_SQLITE if engine.dialect.name == "sqlite" else _BEGIN_POSTGRESQL
        self._lock = WriterLock(lock_path, lock_wait) if lock_path else None
        # One thread of this process at a time; the lock file and the database keep processes apart.
        self._thread = threading.Lock()
        self._connection: Connection | None = None
        self._driver: Any = None
        self._path = sqlite_path(engine.url)
        self._file: tuple[int, ...] | None = None
        """The file that was opened first, which every turn writes to."""
        self.busy_since: int | None = None
        """When the step to disk began that is under way, in microseconds since boot; None while there is none."""
        self.known: LogHead | None = None
        """The head of the log as the turn begins, where it is known without a look."""
        self.written: LogHead | None = None
        """What the turn leaves as the head, for the next one that comes before anybody else."""

    def __enter__(self) -> Connection:
        with translated():
            self._thread.acquire()
            try:
                is_kept = self._lock.__enter__() if self._lock is not None else False
                # Taken away until it is set again: whoever writes otherwise makes it untrue.
                self.known, self.written = self.written if is_kept else None, None
                return self._started()
            except BaseException:
                self._release()
                raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._commit()
            else:
                self._drop()
                translated().__exit__(kind, error, trace)
        finally:
            self._release()

    def close(self) -> None:
        """Let go of connection and lock."""
        if self._connection is not None:
            self._connection.close()
            self._connection = self._driver = None
        if self._lock is not None:
            self._lock.close()

    def _verify_in_place(self) -> None:
        """Write no more where another file has taken the place of the one that was opened, or none.

        What goes into a file without a name is lost with this process, and another file's log may be an older one:
        whoever opens it next holds it against the anchor.
        """
        if self._file is None or self._path is None:
            return
        # A disk that hangs does so at the first question.
        outer, self.busy_since = self.busy_since, self._clock.monotonic_us()
        present, self.busy_since = present_file(self._path), outer
        if present != self._file:
            raise StoreUnwritable(
                "the database of this home was removed or replaced while it was in use",
                hint="put the file back, or stop what uses this home and start it again",
            )

    def _started(self) -> Connection:
        self._verify_in_place()
        try:
            connection = self._connection
            if connection is None:
                connection = self._connection = self._engine.connect().execution_options(**{WRITE: True})
                self._driver = driver_of(connection)
                self._file = self._file or opened_file(connection)
            self._driver.execute(self._begin)
        except BaseException:
            self._drop()
            raise
        return connection

    def _commit(self) -> None:
        # A commit on the way of the anchor is a part of that step.
        outer, self.busy_since = self.busy_since, self._clock.monotonic_us()
        try:
            self._driver.commit()
            self.busy_since = outer
            connection = self._connection
            if connection is not None and connection.in_transaction():
                # Reading through SQLAlchemy made it believe in a transaction of its own, which is over now.
                connection.rollback()
        except BaseException as error:
            self._drop()
            translated().__exit__(type(error), error, error.__traceback__)
            raise

    def _drop(self) -> None:
        """Forget a connection that failed, which may be in any state; the next turn gets a new one."""
        connection, self._connection, self._driver = self._connection, None, None
        self.written = self.busy_since = None
        if connection is not None:
            # The pool would try to reset it, and say at length why a lost one cannot be.
            connection.invalidate()
            connection.close()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.__exit__(None, None, None)
        self._thread.release()
