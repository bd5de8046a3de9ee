"""The full check: the database's own structure, every row, every log entry, and each against the other.

The log is read once, in order: entries, their chain, the tree, and the root at the size of every checkpoint that the
log ever signed and this home knows. Where entries were pruned, their leaf hashes stand for them in the tree, and what
they said of the rows is held to the hash that the pruning put on record.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Connection, Table, text

from swarmsec.audit.chain import ChainState, StoredEntry, verify_chain, verify_entry
from swarmsec.audit.errors import EntryInvalid
from swarmsec.clock import SystemClock
from swarmsec.services.log.check_checkpoints import CheckedCheckpoint, Claim, collect_claims, verify_claim
from swarmsec.services.log.prune_records import SETTING, Pruned, summary_hash
from swarmsec.storage import rows
from swarmsec.storage.errors import StoreCorrupt
from swarmsec.storage.log import read_entries
from swarmsec.storage.logtree import LogTree
from swarmsec.storage.prunedrows import read_pruned_rows
from swarmsec.storage.store import Store
from swarmsec.storage.tables import audit_entries, metadata
from swarmsec.storage.transaction import Transaction

_HINT = "restore the newest backup with: swarmsec restore FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What was found whole."""

    entries: int
    last_hash: bytes
    root: bytes
    """The Merkle tree hash over every entry."""
    rows: int
    pruned: int = 0
    """How many entries, from the first, are kept by their hashes alone."""
    steps: tuple[int, ...] = ()
    """Entries whose clock was behind that of the entry before: somebody set it back, or machines differ."""
    checkpoints: tuple[CheckedCheckpoint, ...] = ()
    """Every checkpoint of this log, by size."""


def verify_store(store: Store, *, further: Iterable[bytes] = ()) -> CheckReport:
    """Check everything in a store.

    Args:
        store: open.
        further: checkpoints that are kept elsewhere, to hold the log against.

    Returns:
        what it holds.

    Raises:
        StoreCorrupt, EntryInvalid, CheckpointInvalid: names the first thing that is wrong.
    """
    with store.snapshot() as connection:
        return verify_database(connection, further)


def verify_database(connection: Connection, further: Iterable[bytes] = ()) -> CheckReport:
    """Check everything that a transaction sees; others may write meanwhile only if it sees nothing of theirs.

    Raises:
        StoreCorrupt, EntryInvalid, CheckpointInvalid: names the first thing that is wrong.
    """
    if connection.dialect.name == "sqlite":
        _verify_structure(connection)
    transaction = Transaction(connection, None, SystemClock())
    claims = collect_claims(transaction, further)
    chain = ChainState()
    entries = read_entries(connection)
    pruned = _verify_pruned(connection, transaction, entries, claims, chain)
    checked = pruned.checked
    for claim in claims[len(checked) :]:
        chain = verify_chain(islice(entries, claim.size - chain.entries), chain)
        checked.append(verify_claim(claim, chain.entries, chain.tree.root()))
    chain = verify_chain(entries, chain)
    _verify_tiles(connection, chain)
    counted = sum(_verify_table(connection, table, chain) for table in metadata.tables.values())
    _verify_none_missing(chain)
    return CheckReport(
        entries=chain.entries,
        last_hash=chain.head,
        root=chain.tree.root(),
        rows=counted,
        pruned=pruned.below,
        steps=tuple(chain.steps),
        checkpoints=tuple(checked),
    )


def rows_before(connection: Connection, below: int) -> dict[tuple[str, str], str]:
    """What the entries before a number say of the rows: by table and key, the newest digest.

    Raises:
        StoreCorrupt, EntryInvalid: names the first thing that is wrong.
    """
    chain, entries = ChainState(), read_entries(connection)
    _verify_pruned(connection, Transaction(connection, None, SystemClock()), entries, [], chain)
    return verify_chain(islice(entries, below - chain.entries), chain).rows


@dataclass(slots=True, kw_only=True)
class _PrunedPart:
    below: int
    checked: list[CheckedCheckpoint]


def _verify_pruned(
    connection: Connection,
    transaction: Transaction,
    entries: Iterator[StoredEntry],
    claims: list[Claim],
    chain: ChainState,
) -> _PrunedPart:
    """Go through the entries that may have no content any more, up to the first that must have it."""
    setting = transaction.settings.get(SETTING)
    if setting is None:
        return _PrunedPart(below=0, checked=[])
    pruned = Pruned.parse(setting)
    summary = read_pruned_rows(connection)
    if not hmac.compare_digest(summary_hash(summary), pruned.rows_sha256):
        raise StoreCorrupt("what pruned entries said of the store is not what was put on record", hint=_HINT)
    checked: list[CheckedCheckpoint] = []
    while chain.entries < pruned.below:
        _check_claims(claims, checked, chain)
        stored = next(entries, None)
        if stored is None or stored.seq != chain.entries:
            raise EntryInvalid(
                f"log entry {chain.entries}: expected its hash, which pruning leaves, got none", seq=chain.entries
            )
        if stored.data:
            verify_entry(stored)
        chain.entries, chain.head = chain.entries + 1, stored.leaf_hash
        chain.tree.append(stored.leaf_hash)
    chain.rows.update(summary)
    return _PrunedPart(below=pruned.below, checked=checked)


def _check_claims(claims: list[Claim], checked: list[CheckedCheckpoint], chain: ChainState) -> None:
    while len(checked) < len(claims) and claims[len(checked)].size == chain.entries:
        checked.append(verify_claim(claims[len(checked)], chain.entries, chain.tree.root()))


def _verify_structure(connection: Connection) -> None:
    first = connection.execute(text("PRAGMA integrity_check(1)")).scalar()
    if first != "ok":
        raise StoreCorrupt(f"the database file is damaged: {str(first).splitlines()[0][:200]}", hint=_HINT)


def _verify_tiles(connection: Connection, chain: ChainState) -> None:
    """Hold the kept hashes of tiles against the entries; proofs are made from them."""
    if not LogTree(connection, chain.entries).is_true():
        raise StoreCorrupt("the kept hashes of the log's tiles are not those of its entries", hint=_HINT)


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
