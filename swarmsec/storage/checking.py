"""The full check: the database's own structure, every row, every log entry, and each against the other."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Table, text

from swarmsec.audit.chain import ChainState, verify_chain
from swarmsec.storage import rows
from swarmsec.storage.errors import StoreCorrupt
from swarmsec.storage.log import read_entries
from swarmsec.storage.store import Store
from swarmsec.storage.tables import audit_entries, metadata

_HINT = "restore the newest backup with: swarmsec restore FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What was found whole."""

    entries: int
    last_hash: bytes
    root: bytes
    """The Merkle tree hash over every entry."""
    rows: int


def verify_store(store: Store) -> CheckReport:
    """Check everything in a store.

    Returns:
        what it holds.

    Raises:
        StoreCorrupt, EntryInvalid: names the first thing that is wrong.
    """
    with store.snapshot() as connection:
        return verify_database(connection)


def verify_database(connection: Connection) -> CheckReport:
    """Check everything that a transaction sees; others may write meanwhile only if it sees nothing of theirs.

    Raises:
        StoreCorrupt, EntryInvalid: names the first thing that is wrong.
    """
    if connection.dialect.name == "sqlite":
        _verify_structure(connection)
    chain = verify_chain(read_entries(connection))
    counted = sum(_verify_table(connection, table, chain) for table in metadata.tables.values())
    _verify_none_missing(chain)
    return CheckReport(entries=chain.entries, last_hash=chain.head, root=chain.tree.root(), rows=counted)


def _verify_structure(connection: Connection) -> None:
    first = connection.execute(text("PRAGMA integrity_check(1)")).scalar()
    if first != "ok":
        raise StoreCorrupt(f"the database file is damaged: {str(first).splitlines()[0][:200]}", hint=_HINT)


def _verify_table(connection: Connection, table: Table, chain: ChainState) -> int:
    """Verify a table's rows, taking each off the list of what the log says must be there."""
    if table is audit_entries:
        return 0
    count = 0
    for row in rows.select_rows(connection, table):
        count += 1
        if table.info["logged"]:
            key = rows.key_text(table, row)
            if chain.rows.pop((table.name, key), None) != row["digest"].hex():
                raise StoreCorrupt(f"table {table.name}: row {key} is not what the log says was written", hint=_HINT)
    return count


def _verify_none_missing(chain: ChainState) -> None:
    if chain.rows:
        table, key = min(chain.rows)
        raise StoreCorrupt(f"table {table}: row {key} is missing, but the log says it was written", hint=_HINT)
