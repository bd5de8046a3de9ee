"""One unit of work: rows and the entry that says why, together or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, Table
from sqlalchemy.sql.elements import ColumnElement

from swarmsec.audit.entry import Event, RowChange
from swarmsec.clock import Clock
from swarmsec.storage import (
    coordination,
    keyrecords,
    logrecords,
    noderecords,
    records,
    rotationrecords,
    rows,
    trustrecords,
)
from swarmsec.storage.hostrecords import HostReports
from swarmsec.storage.insertbuffer import InsertBuffer
from swarmsec.storage.log import LogAppender, LogEntries
from swarmsec.storage.rows import Row
from swarmsec.storage.swarmrecords import Evictions

if TYPE_CHECKING:
    # Most commands have nothing to do with secrets, whose records take a while to import.
    from swarmsec.storage import secretrecords


T = TypeVar("T")


class UnloggedChange(Exception):
    """A defect of ours: a unit changed a logged table and ended without an entry."""


class Transaction:
    """What a unit of work sees of the database. Only ``storage`` touches tables through it."""

    def __init__(self, connection: Connection, appender: LogAppender | None, clock: Clock) -> None:
        self._connection = connection
        self._appender = appender
        self._inserts = appender.inserts if appender else InsertBuffer(connection)
        self._changes: list[RowChange] = []
        self.has_written = False
        """Whether there is anything to undo if the unit does not end well."""
        self.clock = clock
        self._trust: trustrecords.TrustStore | None = None

    @property
    def settings(self) -> records.Settings:
        """The home's facts."""
        return records.Settings(self)

    @property
    def authorities(self) -> records.Authorities:
        """Our roots."""
        return records.Authorities(self)

    @property
    def certificates(self) -> records.Certificates:
        """The issuance table."""
        return records.Certificates(self)

    @property
    def tokens(self) -> records.Tokens:
        """Join tokens."""
        return records.Tokens(self)

    @property
    def limited_tokens(self) -> records.LimitedTokens:
        """Join tokens that end."""
        return records.LimitedTokens(self)

    @property
    def held_nodes(self) -> noderecords.HeldNodes:
        """Requests to join that wait for a person."""
        return noderecords.HeldNodes(self)

    @property
    def swarm_roots(self) -> records.SwarmRoots:
        """Foreign roots of the signing endpoint."""
        return records.SwarmRoots(self)

    @property
    def evictions(self) -> Evictions:
        """Nodes that were taken out of the Swarm."""
        return Evictions(self)

    @property
    def hosts(self) -> HostReports:
        """What agents said of their hosts."""
        return HostReports(self)

    @property
    def rotations(self) -> rotationrecords.Rotations:
        """Root rotations."""
        return rotationrecords.Rotations(self)

    @property
    def sealed(self) -> keyrecords.Sealed:
        """Sealed records."""
        return keyrecords.Sealed(self)

    @property
    def key_terms(self) -> keyrecords.KeyTerms:
        """The key ring's terms."""
        return keyrecords.KeyTerms(self)

    @property
    def seals(self) -> keyrecords.Seals:
        """The seals around the root key."""
        return keyrecords.Seals(self)

    @property
    def policies(self) -> records.Policies:
        """Policy documents."""
        return records.Policies(self)

    @property
    def secrets(self) -> secretrecords.Secrets:
        """Secrets, without their values."""
        from swarmsec.storage import secretrecords

        return secretrecords.Secrets(self)

    @property
    def attachments(self) -> secretrecords.Attachments:
        """Services that secrets are attached to."""
        from swarmsec.storage import secretrecords

        return secretrecords.Attachments(self)

    @property
    def secret_rotations(self) -> secretrecords.Rotations:
        """Rotations of secrets under way."""
        from swarmsec.storage import secretrecords

        return secretrecords.Rotations(self)

    @property
    def intents(self) -> coordination.Intents:
        """What was begun outside the database."""
        return coordination.Intents(self)

    @property
    def leases(self) -> coordination.Leases:
        """Work for one at a time."""
        return coordination.Leases(self)

    @property
    def trust(self) -> trustrecords.TrustStore:
        """What the trust services keep; one for the whole unit, for it remembers rows."""
        if self._trust is None:
            self._trust = trustrecords.TrustStore(self)
        return self._trust

    @property
    def checkpoints(self) -> logrecords.Checkpoints:
        """Signed checkpoints of the log."""
        return logrecords.Checkpoints(self)

    @property
    def witnesses(self) -> logrecords.Witnesses:
        """Who watches the log."""
        return logrecords.Witnesses(self)

    @property
    def pruned_rows(self) -> logrecords.PrunedRows:
        """What pruned entries said of the rows."""
        return logrecords.PrunedRows(self)

    @property
    def tree(self) -> logrecords.Tree:
        """The Merkle tree over the log."""
        return logrecords.Tree(self)

    @property
    def log_entries(self) -> LogEntries:
        """The log as it is kept."""
        return LogEntries(self.connection)

    @property
    def connection(self) -> Connection:
        """The connection, for statements that only read; what was inserted so far is there."""
        self._inserts.flush()
        return self._connection

    def insert(self, table: Table, **values: Any) -> None:
        """Insert a row; every column but ``digest`` is given."""
        self.insert_content(table, [values[name] for name in rows.shape_of(table).columns])

    def insert_content(self, table: Table, content: Sequence[Any]) -> None:
        """Insert a row whose columns but ``digest`` are given in the table's order."""
        self._verify_writing()
        digest = self._inserts.add_content(table, content)
        shape = rows.shape_of(table)
        if shape.is_logged:
            self._changes.append(RowChange(shape.name, shape.key_text(content), digest.hex()))

    def update(self, table: Table, row: Row, **changes: Any) -> Row:
        """Write ``row`` with ``changes`` over what the table has, and return the new row."""
        self._verify_writing()
        new = {**row, **changes}
        self._inserts.flush_row(table, row)
        self._inserts.forget_answers(table)
        self._inserts.forget_row(table, new)
        if changes:
            self._inserts.forget_row(table, row)
        self._note(table, new, rows.update_row(self._connection, table, new))
        return new

    def update_all(self, table: Table, changed: Sequence[Row]) -> None:
        """Write rows, with every column but ``digest``, over what the table has with the same keys."""
        if not changed:
            return
        self._verify_writing()
        self._inserts.flush_table(table)
        self._inserts.forget_table(table)
        for row, digest in zip(changed, rows.update_rows(self._connection, table, changed), strict=True):
            self._note(table, row, digest)

    def delete(self, table: Table, row: Row) -> None:
        """Delete a row."""
        self._verify_writing()
        self._inserts.flush_table(table)
        self._inserts.forget_highest(table)
        self._inserts.forget_answers(table)
        self._inserts.forget_row(table, row)
        rows.delete_row(self._connection, table, row)
        self._note(table, row, b"")

    def find(self, table: Table, **equals: Any) -> Row | None:
        """The row with these values, verified, or None."""
        return next(iter(self.find_all(table, **equals)), None)

    def find_all(self, table: Table, **equals: Any) -> list[Row]:
        """The rows with these values in key order, verified."""
        foreseen = self._inserts.foreseen.rows(table, equals)
        if foreseen is not None:
            return foreseen
        self._inserts.flush_matching(table, equals)
        return rows.find_rows(self._connection, table, equals)

    def find_among(self, table: Table, column: str, values: Sequence[Any], **equals: Any) -> dict[Any, list[Row]]:
        """The rows that have one of these values in a column, by those values that any row has, as ``find_all``.

        Args:
            equals: what else they have, by columns.
        """
        return self._inserts.among(table, column, values, equals)

    def find_some(self, count: int, table: Table, **equals: Any) -> list[Row]:
        """At most so many of the rows with these values, in no order, verified; an index makes it cheap."""
        return self._inserts.some(count, table, equals)

    def find_once(self, table: Table, **equals: Any) -> Row | None:
        """As ``find``, for what every unit of a group asks for: the database is asked once until the table changes."""
        return self.record_once(table, _as_found, **equals)

    def records_once(self, table: Table, record: Callable[[Row], T], **equals: Any) -> Sequence[T]:
        """What is made of the rows that ``find_all`` finds, asked as ``find_once`` asks; each is made once, too.

        Args:
            record: makes one of a row; the same function each time, for it is a part of the question.
        """
        question = (record, *equals.items())
        return self._inserts.once(table, question, lambda: [*map(record, self.find_all(table, **equals))])

    def record_once(self, table: Table, record: Callable[[Row], T], **equals: Any) -> T | None:
        """As ``records_once``, of the one row that there may be."""
        return next(iter(self.records_once(table, record, **equals)), None)

    def is_empty(self, table: Table) -> bool:
        """Whether a table has no rows, asked as ``find_once`` asks."""
        return self._inserts.is_empty(table)

    def highest(self, table: Table) -> int:
        """The highest number in use in a table with a single number from 1 on as key; 0 if it is empty."""
        return self._inserts.highest(table)

    def select(self, table: Table, *conditions: ColumnElement[bool], limit: int | None = None) -> Iterator[Row]:
        """Rows in key order, each verified; the conditions speak of this table alone."""
        self._inserts.flush_table(table)
        return rows.select_rows(self._connection, table, *conditions, limit=limit)

    def log(self, event: Event) -> int:
        """Append an entry that covers the rows changed since the last one; returns its sequence number."""
        seq = self._verify_writing().append(event, self._changes)
        self._changes = []
        return seq

    def verify_logged(self) -> None:
        """Refuse to end with changes that no entry covers."""
        if self._changes:
            tables = sorted({change.table for change in self._changes})
            raise UnloggedChange(f"changes without an entry in {', '.join(tables)}")

    def _verify_writing(self) -> LogAppender:
        if self._appender is None:
            raise UnloggedChange("a reading transaction was written to")
        self.has_written = True
        return self._appender

    def _note(self, table: Table, values: Row, digest: bytes) -> None:
        shape = rows.shape_of(table)
        if shape.is_logged:
            self._changes.append(RowChange(shape.name, rows.key_text(table, values), digest.hex()))


def _as_found(row: Row) -> Row:
    return row
