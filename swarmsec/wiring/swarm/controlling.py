"""Asking a Swarm's control API for its nodes' certificates, by the door that the caller named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from ca.identity import NodeRole
from swarmsec.docker.swarm_control import ControlDoor, list_certificates
from swarmsec.errors import SwarmsecError, Unavailable, UsageProblem
from swarmsec.keys.signers import SealedKeys
from swarmsec.services.ca.authority import load_authority
from swarmsec.services.requester import Requester
from swarmsec.services.swarm.issue_manager_certificate import issue_manager_certificate
from swarmsec.services.swarm.swarm_records import SwarmNode, SwarmState
from swarmsec.services.swarm.swarm_status import Told
from swarmsec.wiring.ca.authority import served_lifetime_of
from swarmsec.wiring.homes.home import Home
from swarmsec.wiring.nodes.authorityclient import KeyPair, spki_of, tls_context
from swarmsec.wiring.nodes.nodefiles import locked_node, open_node_files

MANAGERS: Final = "the managers"


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlAccess:
    """How the control API may be reached; nothing is tried that was not named.

    Args:
        control_socket: an engine's own.
        data_root: of a manager's engine on this machine, whose certificate is shown at the managers' port.
        issue: makes a manager's certificate for this; called once the engine has answered.
    """

    control_socket: Path | None = None
    data_root: Path | None = None
    issue: Callable[[], KeyPair] | None = None

    def ask(self, state: SwarmState, nodes: Sequence[SwarmNode]) -> Told:
        """Ask, and tell what came of it; a door that stays shut is told, too.

        Raises:
            what ``issue`` does.
        """
        issued = self.issue() if self.issue else None
        where = str(self.control_socket or MANAGERS)
        try:
            door = ControlDoor(place=self.control_socket) if self.control_socket else _port_of(nodes)
            where = str(door)
            told = list_certificates(door, tls_context(state.root_pem.encode(), issued or self._pair()))
        except (SwarmsecError, ValueError) as error:
            return Told(where=where, certificates={}, problem=str(error) or "it cannot be used")
        return Told(where=where, certificates=told)

    def _pair(self) -> KeyPair | None:
        return _manager_s(self.data_root) if self.data_root else None


def issue_for_ourselves(home: Home, keys: SealedKeys, requester: Requester) -> KeyPair:
    """Make a key in memory and a manager's certificate for it; the log has it before it is used.

    Raises:
        NotFound: this home has not adopted a Swarm.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    lifetime = served_lifetime_of(home.config)
    record = home.store.write(
        lambda transaction: issue_manager_certificate(
            transaction, load_authority(transaction, keys, lifetime), spki_of(key.public_key()), requester
        )
    )
    return KeyPair(key=key, certificate=x509.load_der_x509_certificate(record.der))


def _port_of(nodes: Sequence[SwarmNode]) -> ControlDoor:
    """The leader's, or that of any manager that is ready."""
    managing = [node for node in nodes if node.manager_address and node.state == "ready"]
    if not managing:
        raise Unavailable("no manager that is ready says where it listens", hint="see: docker node ls")
    return ControlDoor.parse(max(managing, key=lambda node: node.is_leader).manager_address)


def _manager_s(data_root: Path) -> KeyPair:
    directory = data_root / "swarm" / "certificates"
    if locked_node(directory) is not None:
        raise Unavailable(f"the manager's key below {data_root} is locked", hint="take another door: its own socket")
    files = open_node_files(directory)
    if files.identity.role is not NodeRole.MANAGER:
        raise UsageProblem(f"expected a manager's certificate below {data_root}, got a worker's")
    return files.pair
