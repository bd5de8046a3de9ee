"""Errors of the certificate authority.

    CaError
    ├── InvalidToken         a join token that cannot be one
    ├── InvalidRequest       a signing request or parameters that cannot be meant
    ├── RequestRefused       well formed, but not for this caller, cluster or node
    ├── InvalidCertificate   a certificate, bundle, revocation list or issuer that must not be relied on
    ├── RotationRefused      an event that a root rotation cannot take as it stands
    └── InvalidRotation      a state of a rotation that cannot be one

Messages name what was expected and what was found; they never hold a token's secret or key material.
"""

from __future__ import annotations


class CaError(Exception):
    """Base of every refusal of this package.

    Args:
        message: what was expected and what was found, lower case, no full stop, never a secret.
        hint: what to do next, as one sentence or command.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class InvalidToken(CaError):
    """A text that is not a join token."""


class InvalidRequest(CaError):
    """A signing request, or parameters of one, that cannot be meant."""


class RequestRefused(CaError):
    """A well-formed request that this caller must not have fulfilled."""


class InvalidCertificate(CaError):
    """A certificate, a bundle, a revocation list or an issuer that must not be relied on."""


class RotationRefused(CaError):
    """An event that a root rotation cannot take as it stands."""


class InvalidRotation(CaError):
    """A record of a root rotation that cannot be one."""
