"""What remains of pruned entries: how many there were, and what they said of the rows, pinned by a hash.

The setting ``audit_pruned`` is a row like any other, so the entry that records the pruning repeats its digest; the
setting holds the hash of the summary, and the summary takes the place of the entries when rows are held against the
log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import msgspec

from swarmsec.errors import IntegrityFailure
from swarmsec.services.ports import Transaction

SETTING: Final = "audit_pruned"
RowDigests = Mapping[tuple[str, str], str]
"""Of each row, by table and key, the newest digest that an entry gave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """How far a log is pruned."""

    below: int
    """Entries before this number need have no content any more."""
    rows: int
    rows_sha256: str

    def __str__(self) -> str:
        return f"1 {self.below} {self.rows} {self.rows_sha256}"

    @classmethod
    def of(cls, below: int, rows: RowDigests) -> Self:
        """The record of a pruning."""
        return cls(below=below, rows=len(rows), rows_sha256=summary_hash(rows))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the setting.

        Raises:
            IntegrityFailure: it is of another form than we write.
        """
        words = text.split(" ")
        if len(words) != 4 or words[0] != "1" or not (words[1].isdecimal() and words[2].isdecimal()):
            raise IntegrityFailure(f"expected the record of a pruning in the store, got {text!r:.80}")
        return cls(below=int(words[1]), rows=int(words[2]), rows_sha256=words[3])


def pruned_below(transaction: Transaction) -> int:
    """The number of the first entry that must have its content."""
    setting = transaction.settings.get(SETTING)
    return 0 if setting is None else Pruned.parse(setting).below


def summary_hash(rows: RowDigests) -> str:
    """SHA-256 over the rows and their digests, sorted, as one MessagePack array."""
    listed = sorted((table, key, digest) for (table, key), digest in rows.items())
    return hashlib.sha256(msgspec.msgpack.encode(listed)).hexdigest()
