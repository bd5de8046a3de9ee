"""What storage keeps of root rotations, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class RootState(StrEnum):
    """The state of a root in the table of authorities."""

    ACTIVE = "active"
    """The one whose bundle is public and whose digest join tokens carry."""
    NEXT = "next"
    """The one that a running rotation goes to."""
    RETIRED = "retired"
    """A former one."""
    ABANDONED = "abandoned"
    """The target of a rotation that was called off."""


GIVEN_UP: Final = frozenset({RootState.RETIRED.value, RootState.ABANDONED.value})
"""The states of roots that sign nothing any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationRecord:
    """One root rotation without its nodes. Times in Unix seconds."""

    id: int
    phase: str
    old_generation: int
    new_generation: int
    old_root: str
    """SHA-256 of the certificate, lower-case hex."""
    new_root: str
    cross_signed: str
    """SHA-256 of the cross-certificate in force; empty before there is one."""
    started: int
    ended: int
    """When nothing was left to do; 0 before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationNode:
    """How far one node is in one rotation; ``step`` is a word of ``ca.rotation_state.NODE_SETS``."""

    rotation: int
    node: str
    step: str
    since: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossCertificate:
    """A new root signed by one of ours. Times in Unix seconds."""

    sha256: str
    generation: int
    """Of the root that signed."""
    serial: str
    spki_sha256: str
    der: bytes
    not_after: int
    purpose: str
    """``rotation`` of our own root, or ``release`` of a Swarm to a root of its own."""
    revoked: int
    """When; 0 if it was not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetiredList:
    """The last revocation list of a root whose key is gone."""

    generation: int
    number: int
    next_update: int
    der: bytes
