"""Renew the certificate of a node, a driver or an agent: same name, same role, another key.

Who asks is read from the issuance table by the certificate that it showed; nothing of the request counts but
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
from swarmsec.http import Role
from swarmsec.services.access.kept_identities import is_kept_identity, issue_kept_identity
from swarmsec.services.ca.authority import Authority
from swarmsec.services.ca.issue_for_nodes import issue_for_node
from swarmsec.services.ca.issued_certificates import reference_of
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
    """Issue the next certificate of who renews by themselves; the present one is superseded.

    Args:
        presented_sha256: SHA-256 of the certificate that was shown, DER.
        signing_request: for the new key.

    Returns:
        the new certificate's record; again the same one for the same key.

    Raises:
        Refusal: the certificate is none of ours, a person's or server's, revoked, expired or of a
            former role, or the key is not a new one.
    """
    presented = transaction.certificates.by_sha256(presented_sha256)
    if presented is None:
        raise _refusal("only a certificate that this authority issued can be renewed here", None, requester)
    if not renews_itself(presented):
        raise _refusal("only a node's certificate can be renewed, or a driver's or agent's", presented, requester)
    now = unix_seconds(transaction.clock)
    if presented.status is CertificateStatus.REVOKED or not presented.not_before <= now < presented.not_after:
        raise _refusal("a certificate that is revoked or outside its dates cannot be renewed", presented, requester)
    if records_of(transaction, presented.subject_id)[-1].role != presented.role:
        raise _refusal("a certificate of a role that the node no longer has cannot be renewed", presented, requester)
    if bytes.fromhex(signing_request.spki_sha256) == presented.spki_sha256:
        raise _refusal("expected a new key, got the present one", presented, requester)
    via = f"renewal:{presented.serial}"
    if is_kept_identity(presented):
        return issue_kept_identity(
            transaction,
            authority,
            name=presented.subject_id,
            role=Role.parse(presented.role),
            spki_der=signing_request.spki_der,
            requester=requester,
            via=via,
        )
    return issue_for_node(
        transaction, authority, identity_on_record(presented), signing_request.spki_der, requester, via=via
    )


def identity_on_record(record: CertificateRecord) -> NodeIdentity:
    """Who a node is, as the issuance table says.

    Args:
        record: of a node's certificate.
    """
    return NodeIdentity(cluster_id=record.cluster_id, role=NodeRole(record.profile), node_id=record.subject_id)


def records_of(transaction: Transaction, name: str) -> Sequence[CertificateRecord]:
    """The certificates of a node, driver or agent, oldest first; not those of people of the same name."""
    return [record for record in transaction.certificates.by_subject(name) if renews_itself(record)]


def records_of_node(transaction: Transaction, node_id: str) -> Sequence[CertificateRecord]:
    """A node's certificates, oldest first; not those of people or programs of the same name."""
    return [record for record in transaction.certificates.by_subject(node_id) if is_node_s(record)]


def is_node_s(record: CertificateRecord) -> bool:
    """Whether a certificate is a node's."""
    return record.profile in {role.value for role in NodeRole}


def role_word(record: CertificateRecord) -> str:
    """``worker``, ``manager``, ``driver`` or ``agent``."""
    return str(Role.parse(record.role).kind) if is_kept_identity(record) else record.profile.removeprefix("swarm-")


def renews_itself(record: CertificateRecord) -> bool:
    """Whether whoever holds a certificate renews it and follows rotations: a node, a driver, an agent."""
    return is_node_s(record) or is_kept_identity(record)


def _refusal(why: str, presented: CertificateRecord | None, requester: Requester) -> Refusal:
    target = reference_of(presented) if presented else ObjectRef(type="certificate")
    event = requester.event(Action.CA_ISSUE, target, outcome=Outcome.DENIED, reason=why)
    return Refusal(Denied(why, hint="join again with: swarmsec node join --server URL --token TOKEN --dir DIR"), event)
