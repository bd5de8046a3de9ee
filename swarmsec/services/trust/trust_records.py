"""What storage keeps for the trust services, as values. Times in Unix seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRole:
    """A role: what of it is in force, and who signs it."""

    role: str
    version: int
    """0 while nothing of it is published."""
    oldest: int
    """The oldest version whose file is still kept; 0 while nothing is published."""
    expires: int
    threshold: int
    keyids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustKey:
    """A signer's public key."""

    keyid: str
    public: str
    """As metadata has it, JSON."""
    key_name: str
    """The sealed record with its private key; empty for a key that lies elsewhere."""
    created: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingChange:
    """A change that still needs signatures."""

    change_id: str
    summary: str
    data: bytes
    """Its documents with the signatures so far (``services.trust.pending_changes``)."""
    created: int
