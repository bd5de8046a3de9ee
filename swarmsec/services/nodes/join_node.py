"""Redeem a join token, standing or limited, for a node's first certificate, or for a place among those who wait."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from ca.errors import CaError
from ca.identity import NodeIdentity, NodeRole, new_id, parse_node_id
from ca.requests import SigningRequest
from swarmsec.audit.actions import Action
from swarmsec.clock import unix_seconds
from swarmsec.errors import Denied, UsageProblem
from swarmsec.services.ca.authority import Authority
from swarmsec.services.ca.issue_for_nodes import issue_for_node
from swarmsec.services.nodes.hold_nodes import (
    Candidate,
    conclude,
    hold,
    holder_of_name,
    reference_of_node,
    request_of_key,
    verify_not_denied,
)
from swarmsec.services.nodes.limited_tokens import reference_of_token
from swarmsec.services.nodes.node_records import HeldNode, HeldState
from swarmsec.services.nodes.redeem_tokens import Admission, admit, handed_out_before, node_role_of, refusal, spend
from swarmsec.services.ports import Keys, Transaction
from swarmsec.services.records import CertificateRecord, CertificateStatus
from swarmsec.services.requester import Field, Requester
from swarmsec.services.swarm.swarm_link import verify_own_nodes

_ID_BYTES = 17


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinRequest:
    """What a node sends: its token, its checked signing request, and the name it would like."""

    token: str = field(repr=False)
    signing_request: SigningRequest
    node_name: str | None
    reserved_names: Collection[str] = ()
    """Names of the server itself: a node's certificate names the node, and must not pass for the server's."""
    holds_managers: bool = False
    """Whether a manager waits until somebody approves it."""


def join_node(
    transaction: Transaction, keys: Keys, authority: Authority, request: JoinRequest, requester: Requester
) -> CertificateRecord | HeldNode:
    """Decide by the token which role the node gets, and issue, or hold the request until it is approved.

    Returns:
        the certificate's record, or the request that waits; again the same one for the same key and name.

    Raises:
        Refusal: the token is wrong, no longer counts or is for something else, the name is another node's, or this
            home has adopted a Swarm, whose nodes join with Docker's tokens.
    """
    spki_sha256 = bytes.fromhex(request.signing_request.spki_sha256)
    admission = admit(transaction, keys, authority, request.token, requester, spki_sha256=spki_sha256)
    role = node_role_of(admission, requester)
    _verify_no_swarm(transaction, admission, role, requester)
    wanted = replace(request, node_name=_wanted_name(admission, request, requester))
    given = handed_out_before(transaction, authority, admission, spki_sha256)
    if given is not None and wanted.node_name in {None, given.subject_id}:
        return given
    if role is NodeRole.MANAGER and request.holds_managers and not _is_manager(transaction, spki_sha256):
        return _hold_or_issue(transaction, authority, admission, wanted, requester)
    identity = NodeIdentity(
        cluster_id=authority.cluster_id, role=role, node_id=_node_id(transaction, wanted, requester)
    )
    via = f"token:{admission.token_id}"
    record = issue_for_node(transaction, authority, identity, request.signing_request.spki_der, requester, via=via)
    _spend(transaction, admission, spki_sha256, requester, {"serial": record.serial})
    return record


def _hold_or_issue(
    transaction: Transaction, authority: Authority, admission: Admission, request: JoinRequest, requester: Requester
) -> CertificateRecord | HeldNode:
    """A manager's way in where managers are held: recorded at first, told to wait, issued for once it is approved."""
    spki_sha256 = bytes.fromhex(request.signing_request.spki_sha256)
    held = request_of_key(transaction, spki_sha256)
    if held is None:
        node_id = _node_id(transaction, request, requester)
        _spend(transaction, admission, spki_sha256, requester, {"held": node_id})
        candidate = Candidate(node_id=node_id, spki_sha256=spki_sha256, token_id=admission.token_id)
        return hold(transaction, candidate, requester)
    verify_not_denied(held, requester)
    if request.node_name not in {None, held.node_id}:
        why = f"this key waits for approval as {held.node_id}"
        raise refusal(requester, Action.NODE_REQUEST, Denied(why, hint="leave --name out"), admission.limited)
    if held.state is HeldState.PENDING:
        return held
    # The name was kept from other nodes, not from certificates that an operator issued meanwhile.
    node_id = _node_id(transaction, replace(request, node_name=held.node_id), requester)
    identity = NodeIdentity(cluster_id=authority.cluster_id, role=NodeRole.MANAGER, node_id=node_id)
    via = f"approval:{held.request_id}"
    record = issue_for_node(transaction, authority, identity, request.signing_request.spki_der, requester, via=via)
    conclude(transaction, held)
    fields: Mapping[str, Field] = {"request": held.request_id, "serial": record.serial}
    transaction.log(requester.event(Action.NODE_REQUEST, reference_of_node(held), fields=fields))
    return record


def _is_manager(transaction: Transaction, spki_sha256: bytes) -> bool:
    """Whether a key serves a manager already, which then was let in before."""
    now = unix_seconds(transaction.clock)
    return any(
        record.profile == NodeRole.MANAGER.value and record.status is CertificateStatus.VALID and now < record.not_after
        for record in transaction.certificates.by_public_key(spki_sha256)
    )


def _spend(
    transaction: Transaction,
    admission: Admission,
    spki_sha256: bytes,
    requester: Requester,
    fields: Mapping[str, Field],
) -> None:
    """Take a use off a token that has a number of them."""
    if admission.limited is not None:
        spent = spend(transaction, admission, spki_sha256, requester)
        said = {**fields, "uses_left": spent.uses_left}
        transaction.log(requester.event(Action.CA_TOKEN_REDEEM, reference_of_token(spent), fields=said))


def _verify_no_swarm(transaction: Transaction, admission: Admission, role: NodeRole, requester: Requester) -> None:
    try:
        verify_own_nodes(transaction, role.word)
    except UsageProblem as error:
        raise refusal(requester, Action.CA_TOKEN_REDEEM, error, admission.limited) from None


def _wanted_name(admission: Admission, request: JoinRequest, requester: Requester) -> str | None:
    """The name that token and node agree on; None where neither has one.

    Raises:
        Refusal: they differ.
    """
    if not admission.node_name or request.node_name == admission.node_name:
        return request.node_name
    if request.node_name is None:
        return admission.node_name
    why = "the token is for a node of another name"
    raise refusal(requester, Action.CA_TOKEN_REDEEM, Denied(why, hint="leave --name out"), admission.limited)


def _node_id(transaction: Transaction, request: JoinRequest, requester: Requester) -> str:
    spki_sha256 = bytes.fromhex(request.signing_request.spki_sha256)
    if request.node_name is None:
        known = transaction.certificates.by_public_key(spki_sha256)
        return known[-1].subject_id if known else new_id(transaction.clock.random(_ID_BYTES))
    try:
        name = parse_node_id(request.node_name)
    except CaError as error:
        raise refusal(requester, Action.CA_TOKEN_REDEEM, Denied(str(error), hint=error.hint)) from None
    if "." in name or name in request.reserved_names:
        why = f"expected a node name without dots that is no name of this server, got {name}"
        raise refusal(requester, Action.CA_TOKEN_REDEEM, Denied(why, hint="choose another --name"))
    holders = [
        record
        for record in transaction.certificates.by_subject(name)
        if record.status is not CertificateStatus.REVOKED and record.spki_sha256 != spki_sha256
    ]
    waiting = holder_of_name(transaction, name)
    if waiting is not None and waiting.spki_sha256 != spki_sha256:
        why = f"the name {name} is kept for another node that waits for approval"
        raise refusal(requester, Action.CA_TOKEN_REDEEM, Denied(why, hint="choose another --name"))
    if holders:
        raise refusal(
            requester,
            Action.CA_TOKEN_REDEEM,
            Denied(
                f"the name {name} belongs to another node",
                hint=f"choose another --name, or revoke the former node with: swarmsec ca revoke {name}",
            ),
        )
    return name
