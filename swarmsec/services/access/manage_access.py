"""The identities of people and programs on the server: client certificates with a role.

A certificate counts only while the issuance table has it unrevoked, and its role is what the table says. Nodes and
managers get theirs by joining, never here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from ca.errors import CaError
from ca.identity import parse_node_id
from ca.profiles import Profile
from ca.revocation import Reason
from notary.errors import NotaryError
from notary.reference import ImageReference
from swarmsec.audit.actions import Action
from swarmsec.clock import unix_seconds
from swarmsec.errors import AlreadyExists, NotFound, UsageProblem
from swarmsec.http import Role, RoleKind
from swarmsec.services.ca.authority import Authority
from swarmsec.services.ca.issue_for_hosts import issue_for_host
from swarmsec.services.ca.issued_certificates import reference_of
from swarmsec.services.ca.list_certificates import list_certificates
from swarmsec.services.ca.revoke_certificates import revoke_certificates
from swarmsec.services.ports import Transaction
from swarmsec.services.records import CertificateRecord, CertificateStatus
from swarmsec.services.requester import Requester

_ROLES: Final = "admin, operator, auditor, driver, signer:REPOSITORY or agent:NODE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One identity as lists show it; ``status`` is ``valid``, ``revoked`` or ``expired``."""

    name: str
    role: str
    status: str
    serial: str
    not_before: int
    not_after: int


def parse_identity_name(text: str) -> str:
    """Check a name, which is also the common name and the DNS name of the certificate.

    Args:
        text: 1 to 63 characters of ``a-z0-9.-`` that begin and end with a letter or digit, as of a node, and no name
            that only roles of a Swarm carry.

    Raises:
        UsageProblem: it is not such a name.
    """
    try:
        return parse_node_id(text)
    except CaError:
        raise UsageProblem(
            f"expected a name of 1 to 63 lower-case letters, digits, dots and hyphens, got {text!r:.80}",
            hint="such as alice or shop-ci; addresses, localhost and names of Swarm roles are refused",
        ) from None


def parse_identity_role(text: str) -> Role:
    """Check a role that ``access add`` may give.

    Raises:
        UsageProblem: it is unknown, lacks its object, or comes from elsewhere.
    """
    try:
        role = Role.parse(text)
    except ValueError:
        raise UsageProblem(f"expected a role, got {text!r:.80}", hint=f"roles: {_ROLES}") from None
    match role.kind:
        case RoleKind.ADMIN | RoleKind.OPERATOR | RoleKind.AUDITOR | RoleKind.DRIVER:
            return role
        case RoleKind.SIGNER:
            return _signer(role)
        case RoleKind.AGENT:
            return _agent(role)
        case RoleKind.NODE | RoleKind.SWARM_MANAGER:
            raise UsageProblem(
                f"expected a role of a person or program, got {role.kind}",
                hint="nodes get theirs: swarmsec node join --server URL --token TOKEN --dir DIR",
            )
        case RoleKind.ANONYMOUS:
            raise UsageProblem("expected a role, got anonymous", hint="whoever shows no certificate is anonymous")
        case _:
            assert_never(role.kind)


def _signer(role: Role) -> Role:
    try:
        is_full = ImageReference.parse(role.scope).repository == role.scope
    except NotaryError:
        is_full = False
    if not is_full:
        raise UsageProblem(
            f"expected signer:REPOSITORY with a full repository, got {role.scope!r:.80}",
            hint="write domain/path without tag, such as signer:registry.example/shop/api",
        )
    return role


def _agent(role: Role) -> Role:
    try:
        parse_node_id(role.scope)
    except CaError as error:
        raise UsageProblem(f"expected agent:NODE with a node's id: {error}") from None
    return role


def verify_name_free(transaction: Transaction, name: str) -> None:
    """Refuse a name that a certificate in use has.

    Raises:
        AlreadyExists: one that is neither revoked nor expired carries it.
    """
    now = unix_seconds(transaction.clock)
    for record in transaction.certificates.by_subject(name):
        if record.status is not CertificateStatus.REVOKED and record.not_after > now:
            hint = f"revoke it first: swarmsec access revoke {name}" if _is_identity(record) else "choose another name"
            raise AlreadyExists(f"the name {name} is in use by certificate {record.serial}", hint=hint)


def add_identity(
    transaction: Transaction, authority: Authority, *, name: str, role: Role, spki_der: bytes, requester: Requester
) -> CertificateRecord:
    """Issue a client certificate that carries a role in our table.

    Args:
        name: from ``parse_identity_name``.
        role: from ``parse_identity_role``.
        spki_der: the public key of whoever gets the identity.

    Raises:
        AlreadyExists: the name is in use.
    """
    verify_name_free(transaction, name)
    record = issue_for_host(
        transaction,
        authority,
        Profile.CLIENT,
        name=name,
        role=role,
        spki_der=spki_der,
        hosts=(name,),
        requester=requester,
    )
    transaction.log(requester.event(Action.ACCESS_ADD, reference_of(record), fields={"role": str(role)}))
    return record


def list_identities(transaction: Transaction) -> Sequence[Identity]:
    """Every identity ever added, in the order of issue."""
    return [
        Identity(
            name=item.record.subject_id,
            role=item.record.role,
            status=item.status,
            serial=item.record.serial,
            not_before=item.record.not_before,
            not_after=item.record.not_after,
        )
        for item in list_certificates(transaction)
        if _is_identity(item.record)
    ]


def revoke_identity(
    transaction: Transaction, name: str, requester: Requester, *, reason: str = ""
) -> Sequence[CertificateRecord]:
    """Revoke an identity.

    Returns:
        the certificates that this call revoked; empty if they were revoked before.

    Raises:
        NotFound: there never was one of this name.
    """
    if not any(_is_identity(record) for record in transaction.certificates.by_subject(name)):
        raise NotFound(f"no identity {name!r:.80}", hint="list them with: swarmsec access list")
    why = Reason.PRIVILEGE_WITHDRAWN
    return revoke_certificates(transaction, name, requester, why=why, reason=reason, action=Action.ACCESS_REVOKE)


def _is_identity(record: CertificateRecord) -> bool:
    return record.profile == Profile.CLIENT and bool(record.role)
