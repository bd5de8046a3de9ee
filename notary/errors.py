"""Errors of the notary leaf.

NotaryError
├── InvalidReference    text that is no image reference
├── InvalidDigest       text that is no digest
├── InvalidKey          bytes that are no public key, or of a kind that does not count
├── ChangeRefused       a change of the repository that may not be made
├── SignatureRefused    a signature that does not count
└── NotTrusted          a decision against
    └── InvalidMetadata bytes that are no TUF metadata
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


class InvalidKey(NotaryError):
    """Bytes that are no public key, or of a kind that does not count."""


class ChangeRefused(NotaryError):
    """A change of the repository that may not be made."""


class SignatureRefused(NotaryError):
    """A signature that does not count: of another key, of other bytes, or one too many."""


class NotTrusted(NotaryError):
    """A decision against: what was shown does not earn trust."""


class InvalidMetadata(NotTrusted):
    """Bytes that are no TUF metadata."""
