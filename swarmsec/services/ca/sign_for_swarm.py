"""Sign what a Swarm's manager asks for at the external CA endpoint."""

from __future__ import annotations

from collections.abc import Sequence

from ca.errors import RequestRefused
from ca.identity import NodeIdentity
from ca.requests import SigningRequest
from ca.swarm_requests import SwarmRequest, check_swarm_request
from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import ObjectRef
from swarmsec.errors import Denied
from swarmsec.services.ca.authority import Authority
from swarmsec.services.ca.issue_for_nodes import decide_for_node, record_for_node
from swarmsec.services.ca.orders import Signed, sign_orders
from swarmsec.services.parted import Parts, Work
from swarmsec.services.ports import Refusal, Transaction
from swarmsec.services.records import CertificateRecord
from swarmsec.services.requester import Requester


def sign_for_swarm(
    transaction: Transaction,
    authority: Authority,
    caller: NodeIdentity,
    request: SwarmRequest,
    signing_request: SigningRequest,
    requester: Requester,
    *,
    former_root: str | None,
) -> Parts[CertificateRecord]:
    """Issue what the manager asks for, if it is exactly what SwarmKit would ask for.

    It is in two parts: a group's certificates are signed together. ``rows_of_signing`` says what it touches.

    Args:
        caller: the manager, by its client certificate.
        request: the subject, hosts and profile of the request.
        signing_request: the checked key.
        former_root: the SHA-256 of the Swarm's own root where the manager still shows a certificate of that.

    Raises:
        Refusal: anything else than a node certificate of this cluster.
    """
    try:
        identity = check_swarm_request(request, caller=caller, cluster_id=authority.cluster_id)
    except RequestRefused as error:
        denied = Denied(str(error), hint=error.hint)
        target = ObjectRef(type="node", id=request.common_name)
        raise Refusal(
            denied, requester.event(Action.CA_ISSUE, target, outcome=Outcome.DENIED, reason=str(error))
        ) from None
    found = decide_for_node(transaction, authority, identity, signing_request.spki_der, requester)
    if isinstance(found, CertificateRecord):
        yield Work(_nothing, None)
    else:
        signed: Signed = yield Work(sign_orders, found.order)
    if former_root is not None:
        _note_node(transaction, former_root, caller.node_id, requester)
    if isinstance(found, CertificateRecord):
        return found
    via = f"swarm-manager:{caller.node_id}"
    return record_for_node(transaction, authority, found, signed, requester, via=via)


def rows_of_signing(request: SwarmRequest, signing_request: SigningRequest) -> frozenset[str]:
    """What ``sign_for_swarm`` looks for before it signs, and writes after: certificates of the key and of the node."""
    return frozenset({f"key:{signing_request.spki_sha256}", f"node:{request.common_name}"})


def _nothing(items: Sequence[None]) -> Sequence[None]:
    """The work of those that only have to write."""
    return items


def _note_node(transaction: Transaction, root: str, node_id: str, requester: Requester) -> None:
    if transaction.swarm_roots.note_node(root, node_id, transaction.clock.unix_ms() // 1000):
        target = ObjectRef(type="swarm-root", id=root)
        transaction.log(requester.event(Action.SWARM_TRUST, target, fields={"first_use_by": node_id}))
