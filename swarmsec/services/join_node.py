"""Redeem a join token for a node's first certificate."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ca.errors import CaError, InvalidToken
from ca.identity import NodeIdentity, NodeRole, new_id, parse_node_id
from ca.requests import SigningRequest
from ca.tokens import JoinToken, digest_of_bundle
from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import ObjectRef
from swarmsec.errors import Denied, SwarmsecError
from swarmsec.services.authority import Authority, issue_for_node
from swarmsec.services.ports import Keys, Refusal, Transaction
from swarmsec.services.records import CertificateRecord, CertificateStatus, TokenRecord
from swarmsec.services.requester import Requester
from swarmsec.services.standing_tokens import open_standing_token

_ID_BYTES = 17


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinRequest:
    """What a node sends: its token, its checked signing request, and the name it would like."""

    token: str
    signing_request: SigningRequest
    node_name: str | None
    reserved_names: Collection[str] = ()
    """Names of the server itself: a node's certificate names the node, and must not pass for the server's."""


def join_node(
    transaction: Transaction, keys: Keys, authority: Authority, request: JoinRequest, requester: Requester
) -> CertificateRecord:
    """Decide by the token which role the node gets, and issue.

    Returns:
        the certificate's record; again the same one for the same key and name.

    Raises:
        Refusal: the token is wrong, or the name is another node's.
    """
    record, role = _role_of(transaction, keys, authority, request, requester)
    known = transaction.certificates.by_public_key(bytes.fromhex(request.signing_request.spki_sha256))
    node_id = _node_id(transaction, request, [former.subject_id for former in known], requester)
    identity = NodeIdentity(cluster_id=authority.cluster_id, role=role, node_id=node_id)
    via = f"token:{record.token_id}"
    return issue_for_node(transaction, authority, identity, request.signing_request.spki_der, requester, via=via)


def _role_of(
    transaction: Transaction, keys: Keys, authority: Authority, request: JoinRequest, requester: Requester
) -> tuple[TokenRecord, NodeRole]:
    try:
        token = JoinToken.parse(request.token)
    except InvalidToken as error:
        raise _refusal(requester, Denied(str(error), hint=error.hint)) from None
    if token.digest != digest_of_bundle(authority.bundle_pem):
        raise _refusal(
            requester,
            Denied("the token was made for another root", hint="get the present one with: swarmsec ca token worker"),
        )
    # Both are opened and compared whatever the first comparison says, so that the time tells nothing of the role.
    offers = [(open_standing_token(transaction, keys, role), role) for role in (NodeRole.MANAGER, NodeRole.WORKER)]
    matches = [(record, role) for (record, standing), role in offers if token.is_same(standing)]
    if not matches:
        raise _refusal(
            requester,
            Denied(
                "a valid join token is necessary to join this cluster",
                hint="get the present one with: swarmsec ca token worker",
            ),
        )
    return matches[0]


def _node_id(transaction: Transaction, request: JoinRequest, known_as: list[str], requester: Requester) -> str:
    if request.node_name is None:
        return known_as[-1] if known_as else new_id(transaction.clock.random(_ID_BYTES))
    try:
        name = parse_node_id(request.node_name)
    except CaError as error:
        raise _refusal(requester, Denied(str(error), hint=error.hint)) from None
    if "." in name or name in request.reserved_names:
        why = f"expected a node name without dots that is no name of this server, got {name}"
        raise _refusal(requester, Denied(why, hint="choose another --name"))
    holders = [
        record
        for record in transaction.certificates.by_subject(name)
        if record.status is not CertificateStatus.REVOKED
        and record.spki_sha256 != bytes.fromhex(request.signing_request.spki_sha256)
    ]
    if holders:
        raise _refusal(
            requester,
            Denied(
                f"the name {name} belongs to another node",
                hint=f"choose another --name, or revoke the former node with: swarmsec ca revoke {name}",
            ),
        )
    return name


def _refusal(requester: Requester, error: SwarmsecError) -> Refusal:
    target = ObjectRef(type="join-token")
    event = requester.event(Action.CA_TOKEN_REDEEM, target, outcome=Outcome.DENIED, reason=str(error))
    return Refusal(error, event)
