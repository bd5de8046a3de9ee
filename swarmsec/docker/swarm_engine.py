"""The Swarm through one of its managers: read as values, written whole over the version that was read.

``POST /swarm/update`` replaces the specification: a member that is left out becomes zero. So a change starts from the
specification exactly as it was read. A write over another version than was read is refused by the Swarm ("update out
of sequence"); then everything is read again and the change is decided again, once.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from swarmsec.docker.engine import EngineApi
from swarmsec.docker.swarm_objects import parse_info, parse_node, parse_nodes, parse_swarm
from swarmsec.errors import Changed, Unavailable
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.swarm.swarm_ports import ChangeSpec, Spec
from swarmsec.services.swarm.swarm_records import EngineInfo, SwarmNode, SwarmState

TRIES: Final = 2
UNLOCK_SECONDS: Final = 6.0
T = TypeVar("T")


class DockerSwarm:
    """Answers the port ``services.swarm.swarm_ports.SwarmEngine`` and ``SwarmLock``.

    Args:
        api: the engine.
    """

    def __init__(self, api: EngineApi) -> None:
        self._api = api

    def info(self) -> EngineInfo:
        """The engine itself."""
        return parse_info(self._api.get("/info"))

    def swarm(self) -> SwarmState:
        """The Swarm as a whole."""
        return parse_swarm(self._api.get("/swarm"))

    def nodes(self) -> Sequence[SwarmNode]:
        """Every node."""
        return parse_nodes(self._api.get("/nodes"))

    def change_swarm(self, change: ChangeSpec, *, rotate_unlock_key: bool = False) -> None:
        """Write a changed specification.

        Args:
            change: makes it from the present one.
            rotate_unlock_key: whether managers are locked with a new key from now on.

        Raises:
            Changed: somebody was faster, twice.
        """
        query = {"rotateManagerUnlockKey": "true"} if rotate_unlock_key else {}

        def write() -> None:
            state = self.swarm()
            self._write_spec(change(state, copy.deepcopy(dict(state.spec))), state.version, query)

        again_if_changed(write)

    def try_spec(self, change: ChangeSpec) -> None:
        """Have the Swarm's leader check a specification without taking it.

        SwarmKit checks first, which includes dialling the external authorities, and looks at the version last. So a
        write over a version that has passed for good is checked and then refused.

        Raises:
            UsageProblem: the leader refuses the specification.
        """
        state = self.swarm()
        try:
            self._write_spec(change(state, copy.deepcopy(dict(state.spec))), state.version - 1, {})
        except Changed:
            return
        raise Unavailable("the Swarm took a write over a version that has passed", hint="see: docker swarm ca")

    def change_node(self, node_id: str, *, role: str) -> None:
        """Promote or demote a node."""

        def write() -> None:
            node = parse_node(self._api.get(f"/nodes/{node_id}"))
            spec: Spec = {**node.spec, "Role": role}
            self._api.call("POST", f"/nodes/{node_id}/update", query={"version": str(node.version)}, body=spec)

        again_if_changed(write)

    def remove_node(self, node_id: str) -> None:
        """Remove a node, whatever its state."""
        self._api.call("DELETE", f"/nodes/{node_id}", query={"force": "true"})

    def unlock_key(self) -> SecretBytes | None:
        """The key that managers are locked with; None where they are not."""
        document = self._api.get("/swarm/unlockkey")
        text = document.get("UnlockKey") if isinstance(document, dict) else None
        return SecretBytes(text.encode()) if isinstance(text, str) and text else None

    def unlock(self, key: SecretBytes) -> None:
        """Unlock the engine itself.

        An engine answers only once its node takes part in the Swarm again. Where the managers have no quorum yet, that
        is not before others are unlocked too, so its state tells.

        Raises:
            Denied: it is another key.
            AlreadyExists: the engine is not locked.
        """
        patient = EngineApi(self._api.endpoint, answer_seconds=UNLOCK_SECONDS)
        try:
            patient.call("POST", "/swarm/unlock", body={"UnlockKey": key.reveal().decode()})
        except Unavailable:
            if self.info().swarm_state == "locked":
                raise
        finally:
            patient.close()

    def _write_spec(self, spec: dict[str, Any], version: int, query: dict[str, str]) -> None:
        self._api.call("POST", "/swarm/update", query={"version": str(version), **query}, body=spec)


def again_if_changed(write: Callable[[], T]) -> T:
    """Read and write once more where somebody else was faster.

    Raises:
        Changed: twice.
    """
    for _ in range(TRIES - 1):
        try:
            return write()
        except Changed:
            continue
    return write()
