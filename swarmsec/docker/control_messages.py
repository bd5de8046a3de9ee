"""The one message of SwarmKit's control API that is read here: ``ListNodesResponse`` with each node's certificate.

Field numbers (swarmkit, api/control.proto, objects.proto, types.proto): ``ListNodesResponse{nodes=1}``,
``Node{id=1, certificate=8}``, ``Certificate{certificate=4}``. All else is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from swarmsec.docker.protobuf import MalformedMessage, bytes_at, parse_fields
from swarmsec.errors import Unavailable

LIST_NODES: Final = "/docker.swarmkit.v1.Control/ListNodes"
MAX_NODES: Final = 100_000
MAX_ID: Final = 64
MAX_CERTIFICATE: Final = 65_536
_NODES, _ID, _NODE_CERTIFICATE, _CERTIFICATE = 1, 1, 8, 4


def parse_node_list(message: bytes) -> Mapping[str, bytes]:
    """Take a ``ListNodesResponse`` apart.

    Returns:
        node id to the certificate that the Swarm has of the node, PEM as the managers keep it and not looked into;
        empty for a node that the Swarm has none of.

    Raises:
        Unavailable: it is no such message, or larger than any Swarm.
    """
    found: dict[str, bytes] = {}
    try:
        for number, node in parse_fields(memoryview(message)):
            if number != _NODES:
                continue
            if isinstance(node, int):
                raise MalformedMessage("expected a node")
            node_id = _node_id(bytes_at(node, _ID))
            certificate = bytes_at(bytes_at(node, _NODE_CERTIFICATE), _CERTIFICATE)
            if node_id in found or len(found) >= MAX_NODES or len(certificate) > MAX_CERTIFICATE:
                raise MalformedMessage("expected each node once, and certificates of a sensible size")
            found[node_id] = bytes(certificate)
    except MalformedMessage as error:
        raise Unavailable(
            f"expected the nodes of a Swarm from its control API: {error}", hint="check that SwarmKit listens there"
        ) from None
    return found


def _node_id(text: memoryview) -> str:
    if not 0 < len(text) <= MAX_ID:
        raise MalformedMessage("expected the id of a node")
    try:
        return str(text, "ascii")
    except ValueError:
        raise MalformedMessage("expected the id of a node") from None
