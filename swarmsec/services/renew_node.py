"""Renew a node's certificate: same node, same role, another key.

Who the node is is read from the issuance table by the certificate that it showed; nothing of the request counts but
its key. A certificate that was superseded still renews: the node may have lost the answer that replaced it.
"""

from __future__ import annotations

from collections.abc import Sequence

from ca.identity import NodeIdentity, NodeRole
from ca.requests import SigningRequest
from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import unix_seconds
from swarmsec.errors import Denied
from swarmsec.services.authority import Authority, issue_for_node, reference_of
from swarmsec.services.ports import Refusal, Transaction
from swarmsec.services.records import CertificateRecord, CertificateStatus
from swarmsec.services.requester import Requester


def renew_node(
    transaction: Transaction,
    authority: Authority,
    presented_sha256: bytes,
    signing_request: SigningRequest,
    requester: Requester,
) -> CertificateRecord:
    """Issue the next certificate of a node; the present one is superseded.

    Args:
        presented_sha256: SHA-256 of the certificate that the node showed, DER.
        signing_request: for the node's new key.

    Returns:
        the new certificate's record; again the same one for the same key.

    Raises:
        Refusal: the certificate is none of ours, not a node's, revoked, expired or of a
            former role, or the key is not a new one.
    """
    presented = transaction.certificates.by_sha256(presented_sha256)
    if presented is None:
        raise _refusal("only a certificate that this authority issued can be renewed here", None, requester)
    if not is_node_s(presented):
        raise _refusal("only a node's certificate can be renewed", presented, requester)
    now = unix_seconds(transaction.clock)
    if presented.status is CertificateStatus.REVOKED or not presented.not_before <= now < presented.not_after:
        raise _refusal("a certificate that is revoked or outside its dates cannot be renewed", presented, requester)
    if records_of_node(transaction, presented.subject_id)[-1].role != presented.role:
        raise _refusal("a certificate of a role that the node no longer has cannot be renewed", presented, requester)
    if bytes.fromhex(signing_request.spki_sha256) == presented.spki_sha256:
        raise _refusal("expected a new key, got the present one", presented, requester)
    via = f"renewal:{presented.serial}"
    return issue_for_node(
        transaction, authority, identity_on_record(presented), signing_request.spki_der, requester, via=via
    )


def identity_on_record(record: CertificateRecord) -> NodeIdentity:
    """Who a node is, as the issuance table says.

    Args:
        record: of a node's certificate.
    """
    return NodeIdentity(cluster_id=record.cluster_id, role=NodeRole(record.profile), node_id=record.subject_id)


def records_of_node(transaction: Transaction, node_id: str) -> Sequence[CertificateRecord]:
    """A node's certificates, oldest first; not those of people or programs of the same name."""
    return [record for record in transaction.certificates.by_subject(node_id) if is_node_s(record)]


def is_node_s(record: CertificateRecord) -> bool:
    """Whether a certificate is a node's."""
    return record.profile in {role.value for role in NodeRole}


def _refusal(why: str, presented: CertificateRecord | None, requester: Requester) -> Refusal:
    target = reference_of(presented) if presented else ObjectRef(type="certificate")
    event = requester.event(Action.CA_ISSUE, target, outcome=Outcome.DENIED, reason=why)
    return Refusal(Denied(why, hint="join again with: swarmsec node join"), event)
