"""Certificates of nodes: one for a key, a key for one node, and what the node had before retired.

Idempotent on public key, organization, role, node and issuer while the certificate is valid: SwarmKit sends the same
request twice within a second and would otherwise hold another certificate than our table says. One key serves one
identity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

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
from swarmsec.services.ca.leaves import digest_of_key, keep_leaf, order_leaf
from swarmsec.services.ca.orders import Order, Signed, sign_orders
from swarmsec.services.ca.revocation_reasons import revoke_record
from swarmsec.services.ports import Refusal, Transaction
from swarmsec.services.records import CertificateRecord, CertificateStatus
from swarmsec.services.requester import Field, Requester


class NodeOrder(NamedTuple):
    """A certificate that a node is to get: what is to be signed, and what the node had before."""

    order: Order
    identity: NodeIdentity
    formers: Sequence[CertificateRecord]


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
    found = decide_for_node(transaction, authority, identity, spki_der, requester)
    if isinstance(found, CertificateRecord):
        return found
    (signed,) = sign_orders([found.order])
    return record_for_node(transaction, authority, found, signed, requester, via=via)


def decide_for_node(
    transaction: Transaction, authority: Authority, identity: NodeIdentity, spki_der: bytes, requester: Requester
) -> CertificateRecord | NodeOrder:
    """The first half of ``issue_for_node``, which writes nothing: the certificate that there is, or the one to make.

    Raises:
        Refusal: as ``issue_for_node``.
    """
    _verify_not_evicted(transaction, identity, requester)
    known = _known_certificate(transaction, authority, identity, spki_der, requester)
    if known is not None:
        return known
    # Looked for before there is a new one: a group's new certificates are written together.
    formers = transaction.certificates.by_subject(identity.node_id)
    order = order_leaf(transaction, authority, swarm_node(identity.role), identity, hosts_of(identity), spki_der)
    return NodeOrder(order, identity, formers)


def record_for_node(
    transaction: Transaction,
    authority: Authority,
    wanted: NodeOrder,
    signed: Signed,
    requester: Requester,
    *,
    via: str,
) -> CertificateRecord:
    """The second half of ``issue_for_node``: keep what was signed, and retire what the node had before."""
    _, identity, formers = wanted
    kind = RoleKind.SWARM_MANAGER if identity.role is NodeRole.MANAGER else RoleKind.NODE
    role = Role(kind=kind, scope=identity.node_id)
    record = keep_leaf(transaction, authority, signed, name=identity.node_id, role=role)
    revoked = _retire(transaction, formers, record.role)
    fields: Mapping[str, Field] = {
        "profile": record.profile,
        "via": via,
        "spki_sha256": record.spki_sha256.hex(),
        "revoked": revoked,
        **short_life(record),
    }
    transaction.log(requester.event(Action.CA_ISSUE, reference_of(record), fields=fields))
    return record


def _verify_not_evicted(transaction: Transaction, identity: NodeIdentity, requester: Requester) -> None:
    if transaction.evictions.get(identity.node_id) is not None:
        why = f"node {identity.node_id} was evicted"
        target = ObjectRef(type="node", id=identity.node_id)
        event = requester.event(Action.CA_ISSUE, target, outcome=Outcome.DENIED, reason=why)
        raise Refusal(Denied(why, hint="let the machine join anew, under another node id"), event)


def _known_certificate(
    transaction: Transaction, authority: Authority, identity: NodeIdentity, spki_der: bytes, requester: Requester
) -> CertificateRecord | None:
    records = transaction.certificates.by_public_key(digest_of_key(spki_der))
    if not records:
        return None
    known, now = None, unix_seconds(transaction.clock)
    if all(record.status is CertificateStatus.REVOKED for record in records):
        raise _refused_key("this key was revoked", identity, requester)
    for record in records:
        if record.subject_id != identity.node_id or record.cluster_id != identity.cluster_id:
            raise _refused_key("this key already belongs to another identity", identity, requester)
        same = record.profile == swarm_node(identity.role).value and record.generation == authority.record.generation
        if same and record.status is CertificateStatus.VALID and record.not_after > now:
            known = record
    return known


def _refused_key(why: str, identity: NodeIdentity, requester: Requester) -> Refusal:
    target = ObjectRef(type="node", id=identity.node_id)
    event = requester.event(Action.CA_ISSUE, target, outcome=Outcome.DENIED, reason=why)
    return Refusal(Denied(why, hint="make a new key on the node and ask again"), event)


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
