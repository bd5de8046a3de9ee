"""Errors of sealed records.

IntegrityFailure
└── RecordUnreadable   wrong key, altered bytes, or a format this version does not know
"""

from __future__ import annotations

from swarmsec.errors import IntegrityFailure


class RecordUnreadable(IntegrityFailure):
    """A sealed record does not open. Which check failed is not said."""
