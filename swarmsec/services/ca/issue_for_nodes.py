"""Certificates of nodes: one for a key, a key for one node, and what the node had before retired.

Idempotent on public key, organization, role, node and issuer while the certificate is valid: SwarmKit sends the same
request twice within a second and would otherwise hold another certificate than our table says. One key serves one
identity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ca.identity import NodeIdentity, NodeRole, hosts_of
from ca.profiles import swarm_node
from ca.revocation import Reason
from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import unix_seconds
from swarmsec.errors import Denied
from swarmsec.http import Role, RoleKind
from swarmsec.services.ca.authority import Authority
from swarmsec.services.ca.issued_certificates import reference_of, short_life
from swarmsec.services.ca.leaves import digest_of_key, keep_leaf
from swarmsec.services.ca.orders import Order, Signed, sign_orders
from swarmsec.services.ca.revocation_reasons import revoke_record
from swarmsec.services.ports import Refusal, Transaction
from swarmsec.services.records import CertificateRecord, CertificateStatus
from swarmsec.services.requester import Field, Requester

if TYPE_CHECKING:
    from swarmsec.services.swarm.swarm_records import Eviction


class NodeRequest(NamedTuple):
    """A node's certificate that somebody asks for.

    ``identity`` is who the node is; whoever asks has decided that it may be. ``spki_der`` is its public key. ``via`` is
    how it proved itself, for the log.
    """

    identity: NodeIdentity
    spki_der: bytes
    requester: Requester
    via: str


class NodeOrder(NamedTuple):
    """A certificate that a node is to get, and what the node had before."""

    request: NodeRequest
    order: Order
    formers: Sequence[CertificateRecord]


class SignedNode(NamedTuple):
    """A node's certificate that was made and is not on record yet."""

    ordered: NodeOrder
    signed: Signed


def issue_for_node(
    transaction: Transaction,
    authority: Authority,
    identity: NodeIdentity,
    spki_der: bytes,
    requester: Requester,
    *,
    via: str,
) -> CertificateRecord:
    """Issue a node's certificate, or give the one again that it has for this key.

    Args:
        identity: who the node is; whoever calls has decided that it may be.
        spki_der: the node's public key.
        via: how the node proved itself, for the log.

    Raises:
        Refusal: the key already serves another identity, everything issued for it was revoked, or the node was
            evicted.
    """
    request = NodeRequest(identity, spki_der, requester, via)
    (found,) = make_for_nodes(transaction, authority, [request])
    if isinstance(found, Refusal):
        raise found
    return found if isinstance(found, CertificateRecord) else record_for_node(transaction, authority, found)


def make_for_nodes(
    transaction: Transaction,
    authority: Authority,
    requests: Sequence[NodeRequest | Refusal],
    by_node: Mapping[str, Sequence[CertificateRecord]] | None = None,
) -> list[SignedNode | CertificateRecord | Refusal]:
    """The first half of ``issue_for_node`` for many, which writes nothing: all are decided, then all signed.

    Args:
        requests: of different nodes and keys, and what was refused already, which stays as it is.
        by_node: every certificate of these nodes, oldest first, where it is known; looked for otherwise.

    Returns:
        in the order of the requests: the certificate that was made, the one that there is, or why there is none.
    """
    decided = _decide(transaction, authority, requests, by_node)
    ordered = [each for each in decided if isinstance(each, NodeOrder)]
    signed = sign_orders(transaction.clock, authority, [each.order for each in ordered]) if ordered else []
    made = iter(map(SignedNode, ordered, signed))
    return [next(made) if isinstance(each, NodeOrder) else each for each in decided]


def record_for_node(transaction: Transaction, authority: Authority, made: SignedNode) -> CertificateRecord:
    """The second half of ``issue_for_node``: keep what was signed, and retire what the node had before."""
    (request, _, formers), signed = made
    identity, _, requester, via = request
    kind = RoleKind.SWARM_MANAGER if identity.role is NodeRole.MANAGER else RoleKind.NODE
    role = Role(kind=kind, scope=identity.node_id)
    record = keep_leaf(transaction, authority, signed, name=identity.node_id, role=role)
    fields: Mapping[str, Field] = {
        "profile": record.profile,
        "via": via,
        "spki_sha256": record.spki_sha256.hex(),
        "revoked": _retire(transaction, formers, record.role),
        **short_life(record),
    }
    transaction.log(requester.event(Action.CA_ISSUE, reference_of(record), fields=fields))
    return record


class _Known(NamedTuple):
    """What is on record of some nodes and keys, by ids and by SHA-256, at a time in Unix seconds."""

    evicted: Mapping[str, Eviction]
    by_key: Mapping[bytes, Sequence[CertificateRecord]]
    by_node: Mapping[str, Sequence[CertificateRecord]]
    now: int


def _decide(
    transaction: Transaction,
    authority: Authority,
    requests: Sequence[NodeRequest | Refusal],
    by_node: Mapping[str, Sequence[CertificateRecord]] | None,
) -> list[NodeOrder | CertificateRecord | Refusal]:
    asked = [each for each in requests if not isinstance(each, Refusal)]
    nodes = [each.identity.node_id for each in asked]
    known = _Known(
        transaction.evictions.among(nodes),
        transaction.certificates.by_public_keys([digest_of_key(each.spki_der) for each in asked]),
        # Looked for before there is a new one: a group's new certificates are written together.
        transaction.certificates.by_subjects(nodes) if by_node is None else by_node,
        unix_seconds(transaction.clock),
    )
    return [each if isinstance(each, Refusal) else _decided(authority, each, known) for each in requests]


def _decided(authority: Authority, request: NodeRequest, known: _Known) -> NodeOrder | CertificateRecord | Refusal:
    identity, spki_der, _, _ = request
    node_id = identity.node_id
    if node_id in known.evicted:
        why = f"node {node_id} was evicted"
        return _refused(why, request, hint="let the machine join anew, under another node id")
    records = known.by_key.get(digest_of_key(spki_der))
    found = _certificate_there_is(authority, request, records, known.now) if records else None
    if found is not None:
        return found
    order = Order(swarm_node(identity.role), identity, spki_der, hosts_of(identity))
    return NodeOrder(request, order, known.by_node.get(node_id, ()))


def _certificate_there_is(
    authority: Authority, request: NodeRequest, records: Sequence[CertificateRecord], now: int
) -> CertificateRecord | Refusal | None:
    """What a node gets whose key is on record; None for a new certificate."""
    identity, known = request.identity, None
    if all(record.status is CertificateStatus.REVOKED for record in records):
        return _refused("this key was revoked", request)
    for record in records:
        if record.subject_id != identity.node_id or record.cluster_id != identity.cluster_id:
            return _refused("this key already belongs to another identity", request)
        same = record.profile == swarm_node(identity.role).value and record.generation == authority.record.generation
        if same and record.status is CertificateStatus.VALID and record.not_after > now:
            known = record
    return known


def _refused(why: str, request: NodeRequest, hint: str = "make a new key on the node and ask again") -> Refusal:
    target = ObjectRef(type="node", id=request.identity.node_id)
    event = request.requester.event(Action.CA_ISSUE, target, outcome=Outcome.DENIED, reason=why)
    return Refusal(Denied(why, hint=hint), event)


def _retire(transaction: Transaction, formers: Sequence[CertificateRecord], role: str) -> int:
    """Mark a node's earlier certificates: superseded, or revoked where they gave it a role that it no longer has.

    Args:
        role: the node's, from now on.

    Returns:
        how many were revoked.
    """
    if not formers:
        return 0
    revoked, when = 0, unix_seconds(transaction.clock)
    for former in formers:
        if former.status is CertificateStatus.REVOKED:
            continue
        if former.role == role:
            if former.status is CertificateStatus.VALID:
                transaction.certificates.change_status(former, status=CertificateStatus.SUPERSEDED)
        elif former.not_after > when:
            # Superseded ones too: they count until they expire, and would give back the role that was taken.
            revoke_record(transaction, former, Reason.PRIVILEGE_WITHDRAWN, when=when)
            revoked += 1
    return revoked
