"""Renew the certificate of a node, a driver or an agent: same name, same role, another key.

Who asks is read from the issuance table by the certificate that it showed; nothing of the request counts but
its key. A certificate that was superseded still renews: the node may have lost the answer that replaced it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from ca.identity import NodeIdentity, NodeRole
from ca.requests import SigningRequest
from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import unix_seconds
from swarmsec.errors import Denied
from swarmsec.http import Role
from swarmsec.services.access.kept_identities import is_kept_identity, issue_kept_identity
from swarmsec.services.ca.authority import Authority
from swarmsec.services.ca.issue_for_nodes import NodeRequest, SignedNode, make_for_nodes, record_for_node
from swarmsec.services.ca.issued_certificates import reference_of
from swarmsec.services.grouped import Results
from swarmsec.services.ports import Refusal, Transaction
from swarmsec.services.records import CertificateRecord, CertificateStatus
from swarmsec.services.requester import Requester

_NODE_PROFILES: Final = frozenset(role.value for role in NodeRole)


class Renewal(NamedTuple):
    """What somebody asks for who showed a certificate of theirs.

    ``name`` is whose that certificate is, ``presented_sha256`` its SHA-256, DER, ``signing_request`` for the new key.
    """

    name: str
    presented_sha256: bytes
    signing_request: SigningRequest
    requester: Requester


class KeptRenewal(NamedTuple):
    """A renewal of a driver or an agent that was decided, and the certificate that was shown."""

    asked: Renewal
    presented: CertificateRecord


def renew_nodes(transaction: Transaction, authority: Authority, asked: Sequence[Renewal]) -> Results[CertificateRecord]:
    """Issue the next certificates of those who renew by themselves; the present ones are superseded.

    All are decided, then all of nodes signed, then recorded one after the other. ``rows_of_renewal`` says what each
    touches.

    Yields:
        for each in its order the new certificate's record, again the same one for the same key; or why there is none:
        the certificate is none of ours, a person's or server's, revoked, expired or of a former role, or the key is
        not a new one.
    """
    by_name = transaction.certificates.by_subjects([each.name for each in asked])
    now = unix_seconds(transaction.clock)
    decided = [_decided(each, by_name.get(each.name, ()), now) for each in asked]
    of_nodes = [each for each in decided if not isinstance(each, KeptRenewal)]
    made = iter(make_for_nodes(transaction, authority, of_nodes, by_name))
    for each in decided:
        if isinstance(each, KeptRenewal):
            yield _renew_kept(transaction, authority, each)
        else:
            node = next(made)
            yield record_for_node(transaction, authority, node) if isinstance(node, SignedNode) else node


def rows_of_renewal(name: str, signing_request: SigningRequest) -> frozenset[str]:
    """What ``renew_nodes`` looks for and writes, and what the rotation keeps of who renews."""
    return frozenset({f"key:{signing_request.spki_sha256}", f"node:{name}"})


def _decided(asked: Renewal, known: Sequence[CertificateRecord], now: int) -> NodeRequest | KeptRenewal | Refusal:
    """Decide whether the certificate that was shown can be renewed.

    Args:
        known: every certificate of whoever asks, oldest first.
        now: Unix seconds.
    """
    _, presented_sha256, signing_request, requester = asked
    presented = next((each for each in known if each.sha256 == presented_sha256), None)
    if presented is None:
        return _refusal("only a certificate that this authority issued can be renewed here", None, requester)
    if not renews_itself(presented):
        return _refusal("only a node's certificate can be renewed, or a driver's or agent's", presented, requester)
    if presented.status is CertificateStatus.REVOKED or not presented.not_before <= now < presented.not_after:
        return _refusal("a certificate that is revoked or outside its dates cannot be renewed", presented, requester)
    if [each for each in known if renews_itself(each)][-1].role != presented.role:
        return _refusal("a certificate of a role that the node no longer has cannot be renewed", presented, requester)
    if bytes.fromhex(signing_request.spki_sha256) == presented.spki_sha256:
        return _refusal("expected a new key, got the present one", presented, requester)
    if is_kept_identity(presented):
        return KeptRenewal(asked, presented)
    return NodeRequest(identity_on_record(presented), signing_request.spki_der, requester, _via(presented))


def _renew_kept(transaction: Transaction, authority: Authority, renewal: KeptRenewal) -> CertificateRecord | Refusal:
    (_, _, signing_request, requester), presented = renewal
    try:
        return issue_kept_identity(
            transaction,
            authority,
            name=presented.subject_id,
            role=Role.parse(presented.role),
            spki_der=signing_request.spki_der,
            requester=requester,
            via=_via(presented),
        )
    except Refusal as refusal:
        return refusal


def _via(presented: CertificateRecord) -> str:
    return f"renewal:{presented.serial}"


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
    return record.profile in _NODE_PROFILES


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
