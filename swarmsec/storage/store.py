"""The store: units of work in, durable outcomes out.

Several units can share one transaction (group commit), and nobody's outcome is known before it is on disk. A unit
that is refused leaves no trace in the others. One that has written nothing by then, as most have not, has nothing to be
undone, and the group goes on. Otherwise the transaction is rolled back and run once more with a savepoint around each
unit, so that only such groups pay for savepoints. Therefore a unit may run twice and must do nothing but what the
transaction undoes. A unit that raises ``Refusal`` leaves only the entry that records it. Units that want the same are
done together (``storage.grouprun``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from sqlalchemy import Connection, Engine

from swarmsec.audit.entry import Event
from swarmsec.clock import Clock
from swarmsec.errors import SwarmsecError
from swarmsec.services.ports import Refusal
from swarmsec.storage.database import LOCK_WAIT_SECONDS, driver_of
from swarmsec.storage.errors import DiskHung, translated
from swarmsec.storage.foreseen import Look
from swarmsec.storage.grouprun import GroupRun, Outcome
from swarmsec.storage.log import LogAppender, LogHead, read_head
from swarmsec.storage.migratingroom import verify_room
from swarmsec.storage.schema import migrate, read_revisions, verify_known
from swarmsec.storage.stamps import Stamps
from swarmsec.storage.transaction import Transaction
from swarmsec.storage.writingturn import WritingTurn

T = TypeVar("T")
Unit = Callable[[Transaction], T]
"""What one caller wants done in a transaction."""

ANCHOR_INTERVAL_US: Final = 1_000_000


class Anchor(Protocol):
    """Where the newest head is kept, outside the database."""

    def advance(self, head: LogHead) -> None: ...


class _UnitEnded(Exception):
    """A unit of a group failed, or was refused when it had written: the group is run again, each unit apart."""


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
        self.stamps = Stamps(clock)
        self.turn = WritingTurn(engine, clock, lock_path, lock_wait)
        self.anchor: Anchor | None = None
        self.conceal: Callable[[Event], Event] | None = None
        """Changes what is to be logged, where the settings ask for keyed hashes."""
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

    def write_group(self, units: Collection[Unit[Any]], looks: Sequence[Look] = ()) -> list[Outcome]:
        """Run units in one transaction.

        Args:
            units: taken out one by one while the transaction runs, and once more if it has to be run again.
            looks: what the units will look for, as far as it is known; it is asked for together.

        Returns:
            their outcomes in order; if the transaction itself fails, that failure for every unit.
        """
        try:
            if self._anchor_failed:
                self.anchor_if_due(now=True)
            try:
                outcomes = self._commit(units, partial(self._run_together, looks))
            except _UnitEnded:
                outcomes = self._commit(units, self._run_each_apart)
        except Exception as error:  # noqa: BLE001  # whatever stopped the commit is every caller's answer
            return [Outcome(error=error) for _ in units]
        self._anchor_after_commit()
        return outcomes

    def revisions(self) -> frozenset[str]:
        """The schema revisions that the database is at."""
        with translated(), self._engine.connect() as connection, connection.begin():
            return read_revisions(connection)

    def migrate(self, event: Event | None = None) -> None:
        """Bring the schema to this version's, in one transaction; ``event`` is its entry, None for a new store.

        Raises:
            SchemaUnknown: a later version wrote it.
            StoreUnwritable: there is no room for it; nothing is changed.
        """
        head = None
        with self.turn as connection:
            revisions = read_revisions(connection)
            verify_known(revisions)
            verify_room(connection, revisions)
            migrate(connection)
            if event is not None:
                appender = LogAppender(connection, self.stamps)
                appender.append(event, ())
                appender.flush()
                head = appender.head
        # Only what is committed may be anchored.
        self._head = head or self._head

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """One state of the whole database for every statement, whatever others write meanwhile."""
        with translated(), self._engine.connect() as connection:
            if not self.is_sqlite:
                # SQLite's transactions are snapshots; PostgreSQL's default shows each statement a newer state.
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def exclusive(self) -> Iterator[Connection]:
        """A writing transaction for work on the database as a whole; the caller sees to the log."""
        with self.turn as connection:
            yield connection

    def truncate_write_ahead_log(self) -> bool:
        """Leave no erased row behind in SQLite's write-ahead log.

        Returns:
            False if a reader kept the log from being emptied.
        """
        if not self.is_sqlite:
            return True
        with translated(), self._engine.connect() as connection:
            busy, _, _ = driver_of(connection).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

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

    def verify_answering(self, seconds: int) -> None:
        """Tell a disk that hangs: a step to it that has taken too long, whether or not it ever ends.

        Raises:
            DiskHung: the step under way began longer ago than this.
        """
        begun = self.turn.busy_since
        if begun is not None and self.clock.monotonic_us() - begun > seconds * 1_000_000:
            raise DiskHung(seconds)

    def head(self) -> LogHead:
        """The newest entry, as the database has it now."""
        with translated(), self._engine.connect() as connection, connection.begin():
            return read_head(connection)

    def require_anchor(self) -> None:
        """Write nothing before the anchor has followed: who wrote last ended before it did, or could not move it."""
        self._head, self._anchor_failed = self.head(), True

    def anchor_if_due(self, *, now: bool = False) -> None:
        """Move the anchor to the newest head, at most once a second unless told ``now``."""
        head = self._head
        if self.anchor is None or head is None or head.size <= self._anchored.size:
            return
        time = self.clock.monotonic_us()
        if now or time - self._anchored_at >= ANCHOR_INTERVAL_US:
            self.turn.busy_since = time
            try:
                self.anchor.advance(head)
            finally:
                self.turn.busy_since = None
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
            self.turn.close()
            self._engine.dispose()

    def _commit(
        self,
        units: Collection[Unit[Any]],
        run: Callable[[Collection[Unit[Any]], Connection, LogAppender], list[Outcome]],
    ) -> list[Outcome]:
        turn = self.turn
        with turn as connection:
            appender = LogAppender(connection, self.stamps, turn.known, self.conceal)
            outcomes = run(units, connection, appender)
            appender.flush()
            head = turn.written = appender.head
        self._head = head
        return outcomes

    def _run_together(
        self, looks: Sequence[Look], units: Collection[Unit[Any]], connection: Connection, appender: LogAppender
    ) -> list[Outcome]:
        try:
            if len(units) > 1:
                appender.inserts.foreseen.ask(looks)
            outcomes = GroupRun(lambda: Transaction(connection, appender, self.clock)).run(units)
            appender.inserts.flush()
        except Exception as error:
            raise _UnitEnded from error
        return outcomes

    def _run_each_apart(
        self, units: Collection[Unit[Any]], connection: Connection, appender: LogAppender
    ) -> list[Outcome]:
        return [self._run_apart(unit, connection, appender) for unit in units]

    def _run_apart(self, unit: Unit[Any], connection: Connection, appender: LogAppender) -> Outcome:
        mark = appender.mark()
        driver_of(connection).execute("SAVEPOINT unit")
        try:
            (outcome,) = GroupRun(lambda: Transaction(connection, appender, self.clock)).run([unit])
            appender.inserts.flush()
        except Refusal as refusal:
            self._undo(connection, appender, mark)
            Transaction(connection, appender, self.clock).log(refusal.event)
            return Outcome(error=refusal.error)
        except Exception as error:  # noqa: BLE001  # the unit's outcome is whatever it raised
            self._undo_after(error, connection, appender, mark)
            return self._failed(error)
        driver_of(connection).execute("RELEASE SAVEPOINT unit")
        return outcome

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
        except Exception:  # noqa: BLE001  # the driver's own error; the first one is the one to tell
            raise error from None

    @staticmethod
    def _undo(connection: Connection, appender: LogAppender, mark: tuple[LogHead, int]) -> None:
        driver = driver_of(connection)
        driver.execute("ROLLBACK TO SAVEPOINT unit")
        driver.execute("RELEASE SAVEPOINT unit")
        appender.rewind(mark)
