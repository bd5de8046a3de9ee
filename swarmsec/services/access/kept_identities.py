"""The identities of programs that keep themselves enrolled: the secret driver and a node's agent.

They are client certificates like those of ``access add``, but they are enrolled with a token, renew themselves as nodes
do, and follow a rotation of the root, which waits for them as it does for nodes.
"""

from __future__ import annotations

import hashlib
from typing import Final

from ca.profiles import Profile
from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import unix_seconds
from swarmsec.errors import Denied
from swarmsec.http import Role, RoleKind
from swarmsec.services.ca.authority import Authority
from swarmsec.services.ca.issue_for_hosts import issue_for_host
from swarmsec.services.ports import Refusal, Transaction
from swarmsec.services.records import CertificateRecord, CertificateStatus
from swarmsec.services.requester import Requester

KEPT_ROLES: Final = frozenset({RoleKind.DRIVER, RoleKind.AGENT})


def is_kept_identity(record: CertificateRecord) -> bool:
    """Whether a certificate is a driver's or an agent's."""
    return record.profile == Profile.CLIENT and bool(record.role) and Role.parse(record.role).kind in KEPT_ROLES


def issue_kept_identity(
    transaction: Transaction,
    authority: Authority,
    *,
    name: str,
    role: Role,
    spki_der: bytes,
    requester: Requester,
    via: str,
) -> CertificateRecord:
    """Issue the first or next certificate of an identity, or give the one again that it has for this key.

    Args:
        name: of the identity; whoever calls has decided that it may have it. Its former certificates are superseded.
        role: of one of ``KEPT_ROLES``.
        spki_der: its public key.
        via: how it proved itself, for the log.

    Raises:
        Refusal: the key is another identity's or was revoked, or the agent's node was evicted.
    """
    _verify_node_stays(transaction, name, role, requester)
    known = _known(transaction, authority, name, spki_der, requester)
    if known is not None:
        return known
    for former in transaction.certificates.by_subject(name):
        if former.status is CertificateStatus.VALID:
            transaction.certificates.change_status(former, status=CertificateStatus.SUPERSEDED)
    return issue_for_host(
        transaction,
        authority,
        Profile.CLIENT,
        name=name,
        role=role,
        spki_der=spki_der,
        hosts=(name,),
        requester=requester,
        via=via,
    )


def _known(
    transaction: Transaction, authority: Authority, name: str, spki_der: bytes, requester: Requester
) -> CertificateRecord | None:
    now = unix_seconds(transaction.clock)
    found = None
    for record in transaction.certificates.by_public_key(hashlib.sha256(spki_der).digest()):
        if record.subject_id != name or record.status is CertificateStatus.REVOKED:
            raise _refused("this key is another identity's, or was revoked", name, requester)
        is_present = record.generation == authority.record.generation and now < record.not_after
        if is_present and record.status is CertificateStatus.VALID:
            found = record
    return found


def _verify_node_stays(transaction: Transaction, name: str, role: Role, requester: Requester) -> None:
    if role.kind is RoleKind.AGENT and transaction.evictions.get(role.scope) is not None:
        raise _refused(f"node {role.scope} was evicted", name, requester)


def _refused(why: str, name: str, requester: Requester) -> Refusal:
    target = ObjectRef(type="certificate", name=name)
    event = requester.event(Action.CA_ISSUE, target, outcome=Outcome.DENIED, reason=why)
    return Refusal(
        Denied(why, hint="enrol again, with a new key: swarmsec access enrol --server URL --token TOKEN --dir DIR"),
        event,
    )
