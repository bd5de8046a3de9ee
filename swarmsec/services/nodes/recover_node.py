"""Bring back a node whose certificate has expired, so that it can no longer show it to renew.

Three things must agree: a token made for exactly this node, a signing request signed by a key that the issuance table
has for this node, and a node that was not revoked meanwhile. The key stays, so that nothing but the certificate need be
replaced.

A locked manager's key cannot sign before its engine runs, which needs the certificate. Such a node shows the very
certificate that has expired, in place of a signing request. That proves no possession of the key, and need not: what is
issued is for this key alone, and worth nothing to whoever has the token without it. The log has which of both it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ca.identity import NodeRole
from ca.requests import SigningRequest
from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import rfc3339_seconds, unix_seconds
from swarmsec.errors import Denied
from swarmsec.services.ca.authority import Authority
from swarmsec.services.ca.issue_for_nodes import issue_for_node
from swarmsec.services.nodes.limited_tokens import TokenRole
from swarmsec.services.nodes.redeem_tokens import Admission, admit, handed_out_before, refusal, spend
from swarmsec.services.nodes.renew_node import identity_on_record, records_of_node
from swarmsec.services.ports import Keys, Refusal, Transaction
from swarmsec.services.records import CertificateRecord, CertificateStatus
from swarmsec.services.requester import Field, Requester


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryRequest:
    """What a node sends: its token, and a checked signing request for the key that it has, or its certificate."""

    token: str = field(repr=False)
    proof: SigningRequest | x509.Certificate

    @property
    def spki_der(self) -> bytes:
        """The node's public key."""
        if isinstance(self.proof, SigningRequest):
            return self.proof.spki_der
        return self.proof.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def recover_node(
    transaction: Transaction, keys: Keys, authority: Authority, request: RecoveryRequest, requester: Requester
) -> CertificateRecord:
    """Issue a certificate for the key of a node whose last one has expired.

    Returns:
        the certificate's record; again the same one for the same token and key.

    Raises:
        Refusal: the token is not for this, the key is not the node's, or its certificate has not expired or was
            revoked.
    """
    spki_der = request.spki_der
    spki_sha256 = hashlib.sha256(spki_der).digest()
    admission = admit(
        transaction,
        keys,
        authority,
        request.token,
        requester,
        spki_sha256=spki_sha256,
        action=Action.NODE_RECOVER,
    )
    if admission.role is not TokenRole.RECOVER:
        hint = "get one with: swarmsec ca token create --role recover --node-name ID"
        raise _refused("expected a token of role recover, got one to join with", admission, requester, hint)
    given = handed_out_before(transaction, authority, admission, spki_sha256)
    if given is not None:
        return given
    expired = _expired_record(transaction, admission, spki_sha256, requester)
    if isinstance(request.proof, x509.Certificate):
        _verify_on_record(transaction, admission, request.proof, requester)
    via = f"recovery:{admission.token_id}"
    identity = identity_on_record(expired)
    record = issue_for_node(transaction, authority, identity, spki_der, requester, via=via)
    spent = spend(transaction, admission, spki_sha256, requester)
    fields: Mapping[str, Field] = {
        "serial": record.serial,
        "expired_serial": expired.serial,
        "token": spent.token_id,
        "proof": "signing request" if isinstance(request.proof, SigningRequest) else "certificate",
    }
    transaction.log(requester.event(Action.NODE_RECOVER, _node(admission), fields=fields))
    return record


def _expired_record(
    transaction: Transaction, admission: Admission, spki_sha256: bytes, requester: Requester
) -> CertificateRecord:
    """The last certificate of this key, once it is clear that it is the node's, expired, and neither is revoked."""
    name = admission.node_name
    of_node = records_of_node(transaction, name)
    of_key = [record for record in of_node if record.spki_sha256 == spki_sha256]
    if not of_key:
        raise _refused(f"the key is none of node {name}", admission, requester, "a node that lost its key joins again")
    newest, latest = of_key[-1], of_node[-1]
    if CertificateStatus.REVOKED in {newest.status, latest.status} or newest.role != latest.role:
        raise _refused(f"node {name} was revoked, or has another role now", admission, requester, "let it join again")
    if unix_seconds(transaction.clock) < newest.not_after:
        until = rfc3339_seconds(newest.not_after)
        why = f"the certificate of node {name} counts until {until}"
        raise _refused(why, admission, requester, "renew it with: swarmsec node renew --server URL --dir DIR")
    return newest


def _verify_on_record(
    transaction: Transaction, admission: Admission, shown: x509.Certificate, requester: Requester
) -> None:
    """See that a certificate shown in place of a signing request is one that we issued to a manager of this name."""
    record = transaction.certificates.by_sha256(hashlib.sha256(shown.public_bytes(Encoding.DER)).digest())
    if record is None or record.subject_id != admission.node_name or record.profile != NodeRole.MANAGER.value:
        why = "expected the expired certificate of a manager whose key is locked, as it was issued here"
        raise _refused(why, admission, requester, "a key that is not locked signs a request: see node recover --help")


def _node(admission: Admission) -> ObjectRef:
    return ObjectRef(type="node", id=admission.node_name)


def _refused(why: str, admission: Admission, requester: Requester, hint: str) -> Refusal:
    return refusal(requester, Action.NODE_RECOVER, Denied(why, hint=hint), admission.limited)
