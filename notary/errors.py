"""Errors of the notary leaf.

NotaryError
├── InvalidReference    text that is no image reference
└── InvalidDigest       text that is no digest
"""

from __future__ import annotations


class NotaryError(Exception):
    """Base of every refusal of this package.

    Args:
        message: what was expected and what was found, lower case, no full stop.
        hint: what to do next, as one sentence or command.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class InvalidReference(NotaryError):
    """Text that is no image reference."""


class InvalidDigest(NotaryError):
    """Text that is no digest."""
