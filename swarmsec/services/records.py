"""What storage keeps for the services, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class CertificateStatus(StrEnum):
    """The state of an issued certificate; ``expired`` is told by its dates, not stored."""

    VALID = "valid"
    SUPERSEDED = "superseded"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityRecord:
    """A root of ours."""

    generation: int
    certificate: bytes
    """DER."""
    key_name: str
    state: str
    """A word of ``services.rotation.rotation_records.RootState``."""
    created: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRecord:
    """A certificate that we issued. Times in Unix seconds."""

    id: int
    serial: str
    generation: int
    profile: str
    role: str
    """The role of its bearer, as ``swarmsec.http.Role`` writes it."""
    subject_id: str
    cluster_id: str
    spki_sha256: bytes
    sha256: bytes
    der: bytes
    not_before: int
    not_after: int
    status: CertificateStatus
    revoked: int
    """When it was revoked; 0 if it was not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRecord:
    """A join token, without what makes it secret."""

    token_id: str
    role: str
    kind: str
    state: str
    """``active`` or ``retired``."""
    created: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitedToken:
    """A join token that ends, known by its fingerprint alone. Times in Unix seconds."""

    token_id: str
    fingerprint: bytes = field(repr=False)
    """HMAC-SHA256 of the token under a sealed key, 32 bytes."""
    role: str
    """What it is for: a word of ``services.nodes.limited_tokens.TokenRole``."""
    node_name: str
    """The only node that it is for; empty for any."""
    state: str
    """``active`` or ``revoked``; whether it has expired or is used up is told by its numbers."""
    uses: int
    uses_left: int
    created: int
    expires: int
    redeemed_by: bytes = b""
    """SHA-256 of the public key that used it last; empty before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmRoot:
    """The present root of a Swarm that is on its way to ours."""

    sha256: str
    pem: bytes
    cluster_id: str
    added: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRecord:
    """One applied version of a policy document."""

    kind: str
    name: str
    version: int
    document_sha256: str
    document: str
    """Canonical JSON."""
    state: str
    """``active`` or ``retired``."""
    applied: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """Something begun outside the database."""

    request_id: str
    action: str
    started: int
    data: str
    """What is needed to find out how it ended, as canonical JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who does a piece of work; ``expires`` in Unix seconds, 0 once it was given back."""

    holder: str
    fence: int
    expires: int


class KeyKind(StrEnum):
    """Kinds of private keys that the key store makes."""

    P256 = "p256"
    P384 = "p384"


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedRow:
    """A sealed record as storage keeps it (``secretstore.envelope``)."""

    name: str
    version: int
    created: int
    term: int
    wrapped_key: bytes
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTermRow:
    """A term of the key ring: its key sealed under the root key; erased (empty) once the term is destroyed."""

    term: int
    state: str
    """``active``, ``decrypt-only`` or ``destroyed``."""
    wrapped_key: bytes
    body: bytes
    created: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SealRow:
    """A seal around the root key."""

    seal_id: str
    kind: str
    params: str
    wrapped_root: bytes
    created: int
