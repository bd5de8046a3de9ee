"""Pruning: the content of old entries goes, their hashes stay, and so does every proof.

How far is put on record first, in one transaction with a summary of what the entries said of the rows; only then is
any content taken away. Interrupted in between, the next pruning goes on.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final, Protocol

from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef, parse_entry
from swarmsec.audit.tiles import WIDTH
from swarmsec.clock import rfc3339
from swarmsec.errors import UsageProblem
from swarmsec.services.log.prune_records import SETTING, Pruned, RowDigests, pruned_below
from swarmsec.services.ports import Transaction
from swarmsec.services.requester import Field, Requester

_KEEP: Final = re.compile(r"([1-9][0-9]{0,4})(d|mo|y)", re.ASCII)
_DAYS: Final = {"d": 1, "mo": 31, "y": 366}


class PrunedRows(Protocol):
    """Where the summary of what pruned entries said is kept."""

    def replace(self, rows: RowDigests) -> None: ...


class PruningTransaction(Transaction, Protocol):
    """A unit of work that may record a pruning."""

    @property
    def pruned_rows(self) -> PrunedRows: ...


def parse_keep(text: str) -> timedelta:
    """Read ``--keep``: ``400d``, ``13mo`` or ``2y``; a month counts 31 days, a year 366.

    Raises:
        UsageProblem: it is none of these.
    """
    found = _KEEP.fullmatch(text)
    if found is None:
        raise UsageProblem(f"expected --keep such as 400d, 13mo or 2y, got {text!r:.40}")
    return timedelta(days=int(found[1]) * _DAYS[found[2]])


def find_cut(transaction: Transaction, keep: timedelta) -> int:
    """The number of the first entry to keep whole: the start of a bundle, with nothing younger before it.

    Raises:
        EntryInvalid: an entry on the way is not what was written.
    """
    cutoff = rfc3339(max(0, transaction.clock.unix_ms() - keep // timedelta(milliseconds=1)))
    below = pruned_below(transaction)
    for stored in transaction.log_entries.since(below):
        if str(parse_entry(stored.data)["time"]) >= cutoff:
            break
        below = stored.seq + 1
    # Whole bundles, as those who read the log in tiles expect it; never behind an earlier pruning.
    return max(below // WIDTH * WIDTH, pruned_below(transaction))


def record_pruning(
    transaction: PruningTransaction, requester: Requester, below: int, rows: RowDigests, keep: timedelta
) -> None:
    """Put on record that entries before a number may lose their content.

    Args:
        rows: what they say of the rows, each table's key with its newest digest.
    """
    pruned = Pruned.of(below, rows)
    transaction.pruned_rows.replace(rows)
    transaction.settings.put(SETTING, str(pruned))
    fields: dict[str, Field] = {
        "below": below,
        "rows": pruned.rows,
        "rows_sha256": pruned.rows_sha256,
        "keep_days": keep.days,
    }
    transaction.log(requester.event(Action.AUDIT_PRUNE, ObjectRef(type="log"), fields=fields))
