"""Pruning the log of a home: everything is verified, put on record, and then taken away a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from swarmsec.keys.signers import SealedKeys
from swarmsec.services.log.prune_log import find_cut, record_pruning
from swarmsec.services.log.prune_records import pruned_below
from swarmsec.services.requester import Requester
from swarmsec.storage.anchor import AnchorFile
from swarmsec.storage.checking import rows_before, verify_store
from swarmsec.storage.prunedrows import empty_some
from swarmsec.wiring.homes.home import Home
from swarmsec.wiring.log.checkpointing import sign_log


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneReport:
    """What a pruning did."""

    below: int
    """Entries before this number have no content any more."""
    newly: int
    """How many of them had some before."""


def prune_log(home: Home, keys: SealedKeys, keep: timedelta, requester: Requester, *, dry_run: bool) -> PruneReport:
    """Prune entries older than a time.

    Raises:
        IntegrityFailure: the log is not whole; then nothing of it is taken away.
        Unavailable: the store cannot be written; what was begun is finished by the next pruning.
    """
    store = home.store
    before = store.read(pruned_below)
    below = store.read(partial(find_cut, keep=keep))
    if dry_run:
        return PruneReport(below=below, newly=below - before)
    anchored = AnchorFile(home.anchor_path, home.store_id).read_checkpoint()
    verify_store(store, further=[anchored])
    if below > before:
        # The hashes that stay are worth what the signature over them is worth.
        sign_log(store, keys)
        with store.snapshot() as connection:
            rows = rows_before(connection, below)
        store.write(partial(record_pruning, requester=requester, below=below, rows=rows, keep=keep))
    newly = 0
    while emptied := _empty_some(home, below):
        newly += emptied
    store.truncate_write_ahead_log()
    return PruneReport(below=below, newly=newly)


def _empty_some(home: Home, below: int) -> int:
    with home.store.exclusive() as connection:
        return empty_some(connection, below)
