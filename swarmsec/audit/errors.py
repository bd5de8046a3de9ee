"""Errors of the log's values.

IntegrityFailure
└── EntryInvalid   bytes that are not an entry of this log
"""

from __future__ import annotations

from swarmsec.errors import IntegrityFailure


class EntryInvalid(IntegrityFailure):
    """The bytes are not a canonical entry that this version understands, or not the one that stands there.

    Args:
        message: what was expected and what was found.
        seq: the sequence number that the entry should have, where that is known.
    """

    def __init__(self, message: str, *, seq: int | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.seq = seq
