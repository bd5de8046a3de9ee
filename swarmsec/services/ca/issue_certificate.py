"""Certificates for a cluster's other programs: a Docker daemon on TCP, a client of it, any service with TLS.

They carry no role, so on our own API their bearer is nobody. Nor do they pass for a node: their subject has no OU, and
the names by which nodes know a manager are refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from ca.errors import CaError
from ca.hosts import parse_hosts
from ca.identity import CA_HOST, NodeRole, parse_node_id
from ca.profiles import Profile
from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import unix_seconds
from swarmsec.errors import AlreadyExists, Denied, UsageProblem
from swarmsec.services.ca.authority import Authority
from swarmsec.services.ca.issue_for_hosts import issue_for_host
from swarmsec.services.ports import Refusal, Transaction
from swarmsec.services.records import CertificateRecord, CertificateStatus
from swarmsec.services.requester import Requester

SERVER_NAME: Final = "swarmsec-server"
"""The common name of our own server's certificates."""
_NAMES_OF_SWARM: Final = frozenset({CA_HOST, *(role.value for role in NodeRole)})


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRequest:
    """What a certificate shall say, parsed by ``parse_certificate_request``."""

    profile: Profile
    name: str
    hosts: tuple[str, ...]
    hours: int | None = None
    """How long it lives; as long as any certificate of the home without it."""


def parse_certificate_request(
    profile: Profile, *, name: str | None, hosts: Sequence[str], hours: int | None
) -> CertificateRequest:
    """Check what a certificate shall say.

    Args:
        profile: ``SERVER`` or ``CLIENT``.
        name: the common name; the first DNS name of ``hosts`` that can be one without it.
        hosts: 1 to 100 DNS names and IP addresses.
        hours: at least 1.

    Raises:
        UsageProblem: a name cannot be meant, or belongs to Swarm roles or to our own server.
        ca.errors.InvalidRequest: a host is neither a DNS name nor an address, or there are too many or none.
    """
    if profile not in {Profile.SERVER, Profile.CLIENT}:
        raise UsageProblem(f"expected the profile server or client, got {profile}")
    if hours is not None and hours < 1:
        raise UsageProblem(f"expected a life of an hour or more, got {hours}")
    names = tuple(str(host) for host in parse_hosts(hosts))
    reserved = sorted(_NAMES_OF_SWARM.intersection(names))
    if reserved:
        raise UsageProblem(
            f"expected hosts that are no names of Swarm roles, got {reserved[0]}",
            hint="nodes take whoever has such a name for a manager of the Swarm",
        )
    return CertificateRequest(profile=profile, name=_common_name(name, names), hosts=names, hours=hours)


def verify_name(transaction: Transaction, name: str) -> None:
    """Refuse the name of a node, and that of an identity in use: it would be revoked with them.

    Raises:
        AlreadyExists: a node was enrolled under it, or an identity has it.
    """
    now = unix_seconds(transaction.clock)
    for record in transaction.certificates.by_subject(name):
        in_use = record.status is not CertificateStatus.REVOKED and record.not_after > now
        is_node = Profile(record.profile).role is not None
        if is_node or (record.role and in_use):
            owner = "a node" if is_node else "an identity of the server"
            raise AlreadyExists(f"the name {name} belongs to {owner}", hint="choose another --name")


def issue_certificate(
    transaction: Transaction, authority: Authority, request: CertificateRequest, spki_der: bytes, requester: Requester
) -> CertificateRecord:
    """Issue a certificate that means nothing on our own API.

    Args:
        spki_der: the public key of whoever gets it.

    Raises:
        AlreadyExists: as ``verify_name``.
        UsageProblem: it shall live longer than the home's settings allow.
        Refusal: the key was revoked, or serves another name.
    """
    verify_name(transaction, request.name)
    _verify_key(transaction, request.name, spki_der, requester)
    return issue_for_host(
        transaction,
        replace(authority, lifetime=_lifetime(authority, request.hours)),
        request.profile,
        name=request.name,
        role=None,
        spki_der=spki_der,
        hosts=request.hosts,
        requester=requester,
    )


def _common_name(name: str | None, hosts: Sequence[str]) -> str:
    if name is None:
        usable = [host for host in hosts if _is_name(host)]
        if not usable:
            raise UsageProblem("expected --name, as no --san can be the common name")
        return usable[0]
    if not _is_name(name):
        raise UsageProblem(
            f"expected a name of 1 to 63 lower-case letters, digits, dots and hyphens, got {name!r:.80}",
            hint="addresses, localhost and names of Swarm roles or of swarmsec's own server are refused",
        )
    return name


def _is_name(text: str) -> bool:
    try:
        return parse_node_id(text) != SERVER_NAME
    except CaError:
        return False


def _lifetime(authority: Authority, hours: int | None) -> timedelta:
    if hours is None:
        return authority.lifetime
    most = authority.lifetime // timedelta(hours=1)
    if hours > most:
        raise UsageProblem(
            f"expected a life of at most {most} hours, got {hours}",
            hint="certificate_hours in swarmsec.toml bounds every certificate",
        )
    return timedelta(hours=hours)


def _verify_key(transaction: Transaction, name: str, spki_der: bytes, requester: Requester) -> None:
    """One key serves one name, and none after it was revoked."""
    for record in transaction.certificates.by_public_key(hashlib.sha256(spki_der).digest()):
        if record.status is CertificateStatus.REVOKED:
            raise _refused("this key was revoked", name, requester)
        if record.subject_id != name or record.role:
            raise _refused("this key already belongs to another identity", name, requester)


def _refused(why: str, name: str, requester: Requester) -> Refusal:
    event = requester.event(
        Action.CA_ISSUE, ObjectRef(type="certificate", name=name), outcome=Outcome.DENIED, reason=why
    )
    return Refusal(Denied(why, hint="make a new key and ask again"), event)
