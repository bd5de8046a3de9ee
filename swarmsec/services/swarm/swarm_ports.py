"""What the services of a Swarm need of a Docker Engine that manages it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from swarmsec.secretbytes import SecretBytes
from swarmsec.services.swarm.swarm_records import EngineInfo, Eviction, SwarmNode, SwarmState

Spec = dict[str, Any]
"""A whole specification, free to be changed."""
ChangeSpec = Callable[[SwarmState, Spec], Spec]
"""The present state and a copy of its specification in, the whole new one out; asked again if somebody was faster."""


class EvictionRecords(Protocol):
    """Nodes that get no certificate any more."""

    def get(self, node_id: str) -> Eviction | None: ...
    def among(self, node_ids: Sequence[str]) -> Mapping[str, Eviction]: ...
    def add(self, eviction: Eviction) -> None: ...
    def all(self) -> Sequence[Eviction]: ...


class SwarmReader(Protocol):
    """Looks at a Swarm."""

    def info(self) -> EngineInfo: ...
    def swarm(self) -> SwarmState: ...
    def nodes(self) -> Sequence[SwarmNode]: ...


class SwarmEngine(SwarmReader, Protocol):
    """Changes a Swarm, each object written whole and only over the version that was read."""

    def change_swarm(self, change: ChangeSpec, *, rotate_unlock_key: bool = False) -> None: ...
    def try_spec(self, change: ChangeSpec) -> None: ...
    def change_node(self, node_id: str, *, role: str) -> None: ...
    def remove_node(self, node_id: str) -> None: ...


class SwarmLock(Protocol):
    """Locks managers' keys, and opens them."""

    def unlock_key(self) -> SecretBytes | None: ...
    def unlock(self, key: SecretBytes) -> None: ...
