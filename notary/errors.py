"""Errors of the notary leaf.

NotaryError
├── InvalidReference    text that is no image reference
├── InvalidDigest       text that is no digest
├── InvalidKey          bytes that are no public key, or of a kind that does not count
├── ChangeRefused       a change of the repository that may not be made
├── SignatureRefused    a signature that does not count
├── MetadataMissing     metadata that should be there and is not: no answer
└── NotTrusted          a decision against
    ├── InvalidMetadata     bytes that are no TUF metadata
    ├── InvalidManifest     bytes that are no manifest or index, or not the one that was asked for
    ├── UntrustedMetadata   metadata that is wrong, or not signed by whom it must be
    ├── ExpiredMetadata     metadata that no longer counts
    ├── RolledBack          metadata that is older than what was seen before
    ├── NotSigned           nobody vouches for the image
    └── Revoked             the image's digest was revoked
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


class MetadataMissing(NotaryError):
    """Metadata that should be there and is not; this is no answer about any image."""


class NotTrusted(NotaryError):
    """A decision against: what was shown does not earn trust; ``code`` says why, for programs."""

    code = "not_trusted"


class InvalidMetadata(NotTrusted):
    """Bytes that are no TUF metadata."""

    code = "invalid_metadata"


class InvalidManifest(NotTrusted):
    """Bytes that are no manifest or index, or not the one that was asked for."""

    code = "invalid_manifest"


class UntrustedMetadata(NotTrusted):
    """Metadata that is wrong, or not signed by whom it must be."""

    code = "untrusted_metadata"


class ExpiredMetadata(NotTrusted):
    """Metadata that no longer counts."""

    code = "expired_metadata"


class RolledBack(NotTrusted):
    """Metadata that is older than what was seen before, or not of the version that is named."""

    code = "rolled_back"


class NotSigned(NotTrusted):
    """Nobody vouches for the image."""

    code = "not_signed"


class Revoked(NotTrusted):
    """The image's digest was revoked."""

    code = "revoked"
