"""Keeping what pruned entries said of the rows, and taking the entries' content away."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, delete, func, select, update

from swarmsec.services.log.prune_records import RowDigests
from swarmsec.storage.insertbuffer import InsertBuffer
from swarmsec.storage.logtables import audit_pruned_rows
from swarmsec.storage.rows import select_rows
from swarmsec.storage.tables import audit_entries

BATCH: Final = 2000
_FLUSH: Final = 1000


def read_pruned_rows(connection: Connection) -> dict[tuple[str, str], str]:
    """The summary, each of its rows verified."""
    rows = select_rows(connection, audit_pruned_rows)
    return {(str(row["table_name"]), str(row["row_key"])): str(row["row_digest"]) for row in rows}


def write_pruned_rows(connection: Connection, rows: RowDigests) -> None:
    """Write the summary over an earlier one."""
    connection.execute(delete(audit_pruned_rows))
    buffer = InsertBuffer(connection)
    for number, ((table, key), digest) in enumerate(rows.items()):
        buffer.add(audit_pruned_rows, {"table_name": table, "row_key": key, "row_digest": digest})
        if number % _FLUSH == _FLUSH - 1:
            buffer.flush()
    buffer.flush()


def empty_some(connection: Connection, below: int) -> int:
    """Take the content of at most ``BATCH`` entries before a number away; 0 once none is left."""
    full = func.length(audit_entries.c.data) > 0
    some = select(audit_entries.c.seq).where(audit_entries.c.seq < below, full).order_by(audit_entries.c.seq)
    numbers = [int(row[0]) for row in connection.execute(some.limit(BATCH))]
    if numbers:
        last = audit_entries.c.seq <= numbers[-1]
        connection.execute(update(audit_entries).where(last).values(data=b""))
    return len(numbers)
