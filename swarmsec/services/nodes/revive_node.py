"""Bring back a node whose certificate has expired, by the home itself: for whoever can open it, no token is needed.

The key stays as it is and is not even looked at, since the file of a locked manager cannot be read. What proves that
the certificate is the node's is our own table: exactly this certificate was issued here, and its key gets the next.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ca.identity import identity_of
from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import rfc3339_seconds, unix_seconds
from swarmsec.errors import Denied
from swarmsec.services.ca.authority import Authority
from swarmsec.services.ca.issue_for_nodes import issue_for_node
from swarmsec.services.ports import Refusal, Transaction
from swarmsec.services.records import CertificateRecord, CertificateStatus
from swarmsec.services.requester import Field, Requester


def revive_node(
    transaction: Transaction, authority: Authority, expired: x509.Certificate, requester: Requester
) -> CertificateRecord:
    """Issue the next certificate for the key of one that has expired: same node, same role.

    Args:
        expired: the node's present certificate.

    Returns:
        the new certificate's record; the same one if it is asked for again.

    Raises:
        Refusal: it is not ours, has not expired, was revoked, or the node has another role now or was evicted.
    """
    der = expired.public_bytes(Encoding.DER)
    record = transaction.certificates.by_sha256(hashlib.sha256(der).digest())
    if record is None or record.profile not in {"swarm-worker", "swarm-manager"}:
        hint = "a node whose certificate is not from here comes back with: docker swarm leave, and join"
        raise _refused("", requester, "expected a node's certificate that this authority issued", hint)
    node = record.subject_id
    newest = transaction.certificates.by_subject(node)[-1]
    if CertificateStatus.REVOKED in {record.status, newest.status} or newest.role != record.role:
        raise _refused(node, requester, f"node {node} was revoked, or has another role now", "let it join again")
    if unix_seconds(transaction.clock) < record.not_after:
        until = rfc3339_seconds(record.not_after)
        hint = "start the engine: it renews by itself"
        raise _refused(node, requester, f"the certificate of node {node} counts until {until}", hint)
    spki = expired.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    issued = issue_for_node(transaction, authority, identity_of(expired), spki, requester, via="recovery:home")
    fields: Mapping[str, Field] = {"serial": issued.serial, "expired_serial": record.serial}
    transaction.log(requester.event(Action.NODE_RECOVER, ObjectRef(type="node", id=node), fields=fields))
    return issued


def _refused(node: str, requester: Requester, why: str, hint: str) -> Refusal:
    target = ObjectRef(type="node", id=node)
    event = requester.event(Action.NODE_RECOVER, target, outcome=Outcome.DENIED, reason=why)
    return Refusal(Denied(why, hint=hint), event)
