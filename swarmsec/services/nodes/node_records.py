"""What storage keeps of nodes on their way in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class HeldState(StrEnum):
    """What became of a request to join that waits for a person; that it has expired is told by its numbers."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    JOINED = "joined"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldNode:
    """A request to join that is held until somebody approves it. Times in Unix seconds."""

    request_id: str
    node_id: str
    """The name that the node will have; nobody else gets it meanwhile."""
    spki_sha256: bytes
    """SHA-256 of the node's public key, which the node shows as well."""
    token_id: str
    """The token that it came with."""
    address: str
    requested: int
    expires: int
    state: HeldState
    decided: int = 0
    """When it was approved or denied; 0 before."""
    reason: str = ""
