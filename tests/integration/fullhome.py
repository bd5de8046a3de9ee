"""A small home with rows in every table, some of its log pruned, and a page or two that nothing uses."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Table

from swarmsec.audit.tiles import WIDTH
from swarmsec.services.requester import SERVICE
from swarmsec.storage.tables import audit_entries, metadata
from swarmsec.storage.transaction import Transaction
from swarmsec.wiring.homes.home import Home
from swarmsec.wiring.log.pruning import prune_log
from tests.integration.storecontract import event, put
from tests.integration.storefixtures import Place, make_home, opened, verify_whole

FILLED_OTHERWISE: Final = frozenset({"audit_tiles", "audit_pruned_rows"})
"""Their rows are held against the log, and pruning writes them."""
UNUSED_BYTES: Final = 10_000


def make_full_home(root: Path, *, page: int) -> Place:
    """Make it; its file is as small as SQLite makes it.

    Args:
        root: a directory that is not there yet.
        page: bytes a page of the database; a home is made with 4,096. With fewer its rows take pages of more kinds.
    """
    place = make_home(root)
    with opened(place) as home:
        home.store.write(_fill_tables)
        missing = WIDTH - home.store.head().size
        home.store.write_group([put("often-changed", str(number)) for number in range(missing)])
        prune_log(home, home.keys(), timedelta(0), SERVICE, dry_run=False)
    _make_small(place, page)
    with opened(place) as home:
        home.store.write(put("large", "x" * UNUSED_BYTES))
        home.store.write(put("large", "small"))
    verify_filled(place, page)
    return place


def _make_small(place: Place, page: int) -> None:
    settings = ("journal_mode=DELETE", "secure_delete=ON", f"page_size={page}")
    with closing(sqlite3.connect(place.database)) as connection:
        for statement in (*(f"PRAGMA {setting}" for setting in settings), "VACUUM", "PRAGMA journal_mode=WAL"):
            connection.execute(statement)


def verify_filled(place: Place, page: int) -> None:
    """Hold it to what it is for."""
    report = verify_whole(place)
    assert report.pruned == WIDTH
    with opened(place) as home:
        assert _empty_tables(home) == []
        with home.store.snapshot() as connection:
            assert connection.exec_driver_sql("PRAGMA page_size").scalar() == page
            assert (connection.exec_driver_sql("PRAGMA freelist_count").scalar() or 0) >= UNUSED_BYTES // page


def _empty_tables(home: Home) -> list[str]:
    with home.store.reading() as transaction:
        return [name for name, table in metadata.tables.items() if _is_empty(transaction, table)]


def _is_empty(transaction: Transaction, table: Table) -> bool:
    return transaction.connection.execute(table.select().limit(1)).first() is None


def _fill_tables(transaction: Transaction) -> int:
    """A row for each empty table, under one entry; what they say is of no meaning."""
    for name, table in metadata.tables.items():
        if table is not audit_entries and name not in FILLED_OTHERWISE and _is_empty(transaction, table):
            transaction.insert(table, **{c.name: _value(c) for c in table.columns if c.name != "digest"})
    return transaction.log(event("rows for every table"))


def _value(column: Column[object]) -> int | str | bytes:
    if isinstance(column.type, BigInteger | Integer):
        return 1
    return str(column.name).encode() if isinstance(column.type, LargeBinary) else str(column.name)
