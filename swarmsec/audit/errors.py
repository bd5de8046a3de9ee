"""Errors of the log's values.

IntegrityFailure
└── EntryInvalid   bytes that are not an entry of this log
"""

from __future__ import annotations

from swarmsec.errors import IntegrityFailure


class EntryInvalid(IntegrityFailure):
    """The bytes are not a canonical entry that this version understands."""
