"""Errors of the log's values.

IntegrityFailure
├── EntryInvalid         bytes that are not an entry of this log
├── CheckpointInvalid    a checkpoint that its log, or a witness of it, did not sign, or that does not fit the log
│   └── HistoryContradicted   a witness has seen another history
└── ProofInvalid         hashes that do not lead where they must
UsageProblem
└── LogFormatInvalid     a text that is no key, note, checkpoint, proof, tile or request at all
"""

from __future__ import annotations

from swarmsec.errors import IntegrityFailure, UsageProblem


class EntryInvalid(IntegrityFailure):
    """The bytes are not a canonical entry that this version understands, or not the one that stands there.

    Args:
        message: what was expected and what was found.
        seq: the sequence number that the entry should have, where that is known.
    """

    def __init__(self, message: str, *, seq: int | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.seq = seq


class CheckpointInvalid(IntegrityFailure):
    """A checkpoint without the signatures that it needs, or one that contradicts the log."""


class HistoryContradicted(CheckpointInvalid):
    """A witness has seen another history of this log, or more of it than there is."""


class ProofInvalid(IntegrityFailure):
    """The hashes of a proof do not lead to the root."""


class LogFormatInvalid(UsageProblem):
    """The text is not of the form that its specification says."""
