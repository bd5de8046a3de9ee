"""Sign what a Swarm's manager asks for at the external CA endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ca.errors import RequestRefused
from ca.identity import NodeIdentity
from ca.requests import SigningRequest
from ca.swarm_requests import SwarmRequest, check_swarm_request
from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import ObjectRef
from swarmsec.errors import Denied
from swarmsec.services.ca.authority import Authority
from swarmsec.services.ca.issue_for_nodes import NodeRequest, SignedNode, make_for_nodes, record_for_node
from swarmsec.services.grouped import Results
from swarmsec.services.ports import Refusal, Transaction
from swarmsec.services.records import CertificateRecord
from swarmsec.services.requester import Requester


class SwarmSigning(NamedTuple):
    """What a manager asks for.

    ``caller`` is the manager, by its client certificate. ``request`` has the subject, hosts and profile that it wants,
    ``signing_request`` the checked key. ``former_root`` is the SHA-256 of the Swarm's own root where the manager still
    shows a certificate of that.
    """

    caller: NodeIdentity
    request: SwarmRequest
    signing_request: SigningRequest
    requester: Requester
    former_root: str | None


def sign_for_swarm(
    transaction: Transaction, authority: Authority, asked: Sequence[SwarmSigning]
) -> Results[CertificateRecord]:
    """Issue what managers ask for, each if it is exactly what SwarmKit would ask for.

    All are decided, then all signed, then recorded one after the other. ``rows_of_signing`` says what each touches.

    Yields:
        for each in its order the certificate on record, or the refusal of anything else than a node certificate of this
        cluster, and of what ``issue_for_node`` refuses.
    """
    made = make_for_nodes(transaction, authority, [_checked(authority, each) for each in asked])
    for each, node in zip(asked, made, strict=True):
        if each.former_root is not None and not isinstance(node, Refusal):
            _note_node(transaction, each.former_root, each.caller.node_id, each.requester)
        yield record_for_node(transaction, authority, node) if isinstance(node, SignedNode) else node


def _checked(authority: Authority, asked: SwarmSigning) -> NodeRequest | Refusal:
    caller, request, signing_request, requester, _ = asked
    try:
        identity = check_swarm_request(request, caller=caller, cluster_id=authority.cluster_id)
    except RequestRefused as error:
        denied = Denied(str(error), hint=error.hint)
        target = ObjectRef(type="node", id=request.common_name)
        return Refusal(denied, requester.event(Action.CA_ISSUE, target, outcome=Outcome.DENIED, reason=str(error)))
    return NodeRequest(identity, signing_request.spki_der, requester, f"swarm-manager:{caller.node_id}")


def rows_of_signing(request: SwarmRequest, signing_request: SigningRequest) -> frozenset[str]:
    """What ``sign_for_swarm`` looks for and writes: certificates of the key and of the node."""
    return frozenset({f"key:{signing_request.spki_sha256}", f"node:{request.common_name}"})


def _note_node(transaction: Transaction, root: str, node_id: str, requester: Requester) -> None:
    if transaction.swarm_roots.note_node(root, node_id, transaction.clock.unix_ms() // 1000):
        target = ObjectRef(type="swarm-root", id=root)
        transaction.log(requester.event(Action.SWARM_TRUST, target, fields={"first_use_by": node_id}))
