"""Whether a manager's request for a node certificate may be fulfilled.

A Swarm with an external authority sends it every request with the leader's own certificate (swarmkit, ca/external.go).
The leader checks nothing of the answer, so a certificate with another role or name would silently change who a node
is: everything that a certificate says about a node is checked here, against what SwarmKit would ask for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ca.errors import InvalidRequest, RequestRefused
from ca.identity import NodeIdentity, NodeRole, hosts_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmRequest:
    """The values of a CFSSL sign request, as they came.

    Args:
        common_name: ``subject.CN``.
        organization: the only ``O`` of ``subject.names``.
        organizational_unit: the only ``OU`` of ``subject.names``.
        hosts: ``hosts``.
        profile: ``profile``; empty for node certificates.
    """

    common_name: str
    organization: str
    organizational_unit: str
    hosts: Sequence[str]
    profile: str


def check_swarm_request(request: SwarmRequest, *, caller: NodeIdentity, cluster_id: str) -> NodeIdentity:
    """Decide whose certificate a request is for.

    Args:
        request: the parsed values.
        caller: who asks, by the client certificate that the transport verified.
        cluster_id: ours.

    Returns:
        the identity to issue a certificate for.

    Raises:
        RequestRefused: naming the first reason.
    """
    verify_caller(caller, cluster_id)
    if request.profile:
        raise RequestRefused(f"expected a request without profile, got {request.profile[:80]!r}")
    if request.organization != cluster_id:
        raise RequestRefused(f"expected a subject of cluster {cluster_id!r}, got {request.organization[:80]!r}")
    identity = _requested_identity(request)
    hosts = hosts_of(identity)
    if tuple(request.hosts) != hosts and sorted(request.hosts) != sorted(hosts):
        raise RequestRefused(f"expected exactly the hosts {', '.join(hosts)}")
    return identity


def verify_caller(caller: NodeIdentity, cluster_id: str) -> None:
    """Check that a manager of our cluster asks.

    Raises:
        RequestRefused: naming who asked instead.
    """
    if caller.role is not NodeRole.MANAGER:
        raise RequestRefused(f"expected a manager to ask, got {caller.role.word} {caller.node_id!r}")
    if caller.cluster_id != cluster_id:
        raise RequestRefused(f"expected a caller of cluster {cluster_id!r}, got {caller.cluster_id!r}")


def _requested_identity(request: SwarmRequest) -> NodeIdentity:
    try:
        role = NodeRole(request.organizational_unit)
        return NodeIdentity(cluster_id=request.organization, role=role, node_id=request.common_name)
    except InvalidRequest as error:
        raise RequestRefused(str(error)) from error
    except ValueError as error:
        found = request.organizational_unit[:80]
        raise RequestRefused(f"expected the unit swarm-worker or swarm-manager, got {found!r}") from error
