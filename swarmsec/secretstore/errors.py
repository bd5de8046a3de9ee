"""Errors of the secret store.

IntegrityFailure
└── RecordUnreadable   wrong key, altered bytes, or a format this version does not know
UsageProblem
└── SecretInvalid      a name, value, label or bound that no secret can have
"""

from __future__ import annotations

from swarmsec.errors import IntegrityFailure, UsageProblem


class RecordUnreadable(IntegrityFailure):
    """A sealed record does not open. Which check failed is not said."""


class SecretInvalid(UsageProblem):
    """A name, value, label or bound that no secret can have. The value itself is never quoted."""
