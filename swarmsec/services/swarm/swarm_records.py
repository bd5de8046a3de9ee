"""A Swarm as its managers describe it, as values. What Docker says is taken apart in ``swarmsec.docker``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

READY = "ready"
MANAGER = "manager"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """The engine that is asked.

    Args:
        version: such as ``20.10.24``; empty where it says none.
        swarm_state: ``active``, ``inactive``, ``pending``, ``locked`` or ``error``.
        node_id: its own, empty outside a Swarm.
        is_manager: whether it answers for the Swarm.
        unix_time: its clock, in seconds; None where it says nothing readable.
        problem: what the engine says is wrong with its Swarm; empty for nothing.
    """

    version: str
    swarm_state: str
    node_id: str
    is_manager: bool
    unix_time: float | None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerName:
    """Who issued a certificate, as SwarmKit tells issuers apart: subject and public key, both DER; empty if untold."""

    subject: bytes
    spki: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalCa:
    """One entry of ``CAConfig.ExternalCAs``; ``root_pem`` is empty where it means the Swarm's present root."""

    protocol: str
    url: str
    root_pem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmState:
    """The Swarm as a whole.

    Args:
        id: the cluster's.
        version: of the object, for a write that must not overwrite another.
        spec: the whole specification exactly as the engine gave it, members that nobody here knows included.
        root_pem: what nodes trust now. While a rotation runs it is still the former root.
        issuer: who signs now. While a rotation runs it is the root that the Swarm rotates to.
    """

    id: str
    version: int
    spec: Mapping[str, Any] = field(repr=False)
    root_pem: str
    issuer: IssuerName
    is_rotating: bool
    is_autolocked: bool
    external_cas: tuple[ExternalCa, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmNode:
    """One node.

    Args:
        role: ``worker`` or ``manager``, as the Swarm has it now, not as it is wished.
        wanted_role: what its specification wishes.
        state: ``ready``, ``down``, ``unknown`` or ``disconnected``.
        manager_address: ``HOST:PORT`` where it manages; empty for a worker.
        root_pem: the root that the node itself says it trusts; empty if it said nothing yet.
        issuer: who issued the certificate that the node itself says it uses.
    """

    id: str
    version: int
    hostname: str
    role: str
    wanted_role: str
    state: str
    address: str
    engine_version: str
    is_leader: bool
    manager_address: str
    root_pem: str
    issuer: IssuerName
    spec: Mapping[str, Any] = field(repr=False)

    @property
    def label(self) -> str:
        """The node as people call it."""
        return self.hostname or self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Eviction:
    """A node that gets no certificate any more. ``evicted`` is in Unix seconds."""

    node_id: str
    hostname: str
    reason: str
    evicted: int
