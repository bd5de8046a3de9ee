"""The authority: issuing certificates and keeping their records.

Idempotent on public key, organization, role, node and issuer while the certificate is valid: SwarmKit sends the same
request twice within a second and would otherwise hold another certificate than our table says. One key serves one
identity.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import NamedTuple

from cryptography import x509
from cryptography.x509.oid import NameOID

from ca.bundle import write_bundle
from ca.identity import NodeIdentity, NodeRole, hosts_of
from ca.issuing import Issuer, LeafOrder
from ca.pem import write_block
from ca.profiles import MIN_LIFETIME, Profile, swarm_node
from ca.revocation import Reason
from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import Clock, unix_seconds
from swarmsec.errors import Denied, NotFound
from swarmsec.http import Role, RoleKind
from swarmsec.services.ca.orders import Order, Signed, sign_orders, unix_of, validity_at
from swarmsec.services.ca.revocation_reasons import revoke_record
from swarmsec.services.ports import Keys, Refusal, Transaction
from swarmsec.services.records import AuthorityRecord, CertificateRecord, CertificateStatus
from swarmsec.services.requester import Field, Requester
from swarmsec.services.rotation.rotation_records import RotationRecord
from swarmsec.services.rotation.rotation_roots import current_epoch, roots_now


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """The root that signs now, ready to sign, and the roots around it while one takes the place of another."""

    record: AuthorityRecord
    """Of the root that signs."""
    issuer: Issuer
    cluster_id: str
    lifetime: timedelta
    """Of its leaves; below an hour only where the settings allow it, and then without backdate."""
    epoch: str
    """Another word after every change of anything in here; ``current_epoch`` has the present one."""
    public: x509.Certificate
    """The root that strangers are given, and whose bundle join tokens digest."""
    trusted: tuple[x509.Certificate, ...]
    """The roots that nodes are to trust."""
    accepted: Mapping[int, x509.Certificate]
    """The roots that clients may come under, by generation."""
    cross_signed: x509.Certificate | None = None
    """The new root signed by the old one, from the moment that nodes are given both."""
    rotation: RotationRecord | None = None
    """The rotation under way, or called off and not yet settled."""

    @property
    def bundle_pem(self) -> bytes:
        """The exact root bundle that tokens digest."""
        return _bundle_of((self.public,))

    @property
    def trusted_pem(self) -> bytes:
        """The exact root bundle that nodes store."""
        return _bundle_of(self.trusted)

    @property
    def cross_signed_pem(self) -> bytes:
        """The cross-certificate, or nothing."""
        return b"" if self.cross_signed is None else _bundle_of((self.cross_signed,))

    def chain_pem(self, record: CertificateRecord) -> bytes:
        """A certificate with what somebody needs to verify it who trusts the old root alone."""
        is_new = self.rotation is not None and record.generation == self.rotation.new_generation
        return certificate_pem(record) + (self.cross_signed_pem if is_new else b"")


@lru_cache(maxsize=16)
def _bundle_of(certificates: tuple[x509.Certificate, ...]) -> bytes:
    """Written once: each call of each node is answered with it."""
    return write_bundle(certificates)


def load_authority(transaction: Transaction, keys: Keys, lifetime: timedelta) -> Authority:
    """Open the authority as it is now.

    Raises:
        NotFound: the home has none.
    """
    active = transaction.authorities.active()
    cluster_id = transaction.settings.get("cluster_id")
    if active is None or cluster_id is None:
        raise NotFound("this home has no certificate authority", hint="make one with: swarmsec ca init")
    roots = roots_now(transaction, active)
    record = roots.issuing
    issuer = Issuer(x509.load_der_x509_certificate(record.certificate), keys.signer(transaction, record.key_name))
    return Authority(
        record=record,
        issuer=issuer,
        cluster_id=cluster_id,
        lifetime=lifetime,
        epoch=current_epoch(transaction),
        public=x509.load_der_x509_certificate(active.certificate),
        trusted=tuple(x509.load_der_x509_certificate(root.certificate) for root in roots.trusted),
        accepted={root.generation: x509.load_der_x509_certificate(root.certificate) for root in roots.accepted},
        cross_signed=x509.load_der_x509_certificate(roots.cross_signed) if roots.cross_signed else None,
        rotation=roots.rotation,
    )


def now_utc(clock: Clock) -> datetime:
    """The wall clock as an aware time, in whole seconds."""
    return datetime.fromtimestamp(clock.unix_ms() // 1000, UTC)


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


class NodeOrder(NamedTuple):
    """A certificate that a node is to get: what is to be signed, and what the node had before."""

    order: Order
    identity: NodeIdentity
    formers: Sequence[CertificateRecord]


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
    order = _order(transaction, authority, swarm_node(identity.role), identity, hosts_of(identity), spki_der)
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
    record = _keep(transaction, authority, signed, name=identity.node_id, role=role)
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


def issue_for_host(
    transaction: Transaction,
    authority: Authority,
    profile: Profile,
    *,
    name: str,
    role: Role | None,
    spki_der: bytes,
    hosts: Sequence[str],
    requester: Requester,
    via: str = "",
) -> CertificateRecord:
    """Issue a server's or client's certificate.

    Args:
        role: what its bearer may do on our own API, if anything.
        via: how its bearer was let in, for the log, where no operator decided it.
    """
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, authority.cluster_id),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    order = _order(transaction, authority, profile, subject, hosts, spki_der)
    (signed,) = sign_orders([order])
    record = _keep(transaction, authority, signed, name=name, role=role)
    fields: Mapping[str, Field] = {
        "profile": record.profile,
        "role": record.role,
        "hosts": list(hosts),
        **({"via": via} if via else {}),
        **short_life(record),
    }
    transaction.log(requester.event(Action.CA_ISSUE, reference_of(record), fields=fields))
    return record


def short_life(record: CertificateRecord) -> dict[str, Field]:
    """What an entry says of a certificate that lives for less than an hour, which has to be allowed."""
    seconds = record.not_after - record.not_before
    return {"lifetime_seconds": seconds} if seconds < MIN_LIFETIME.total_seconds() else {}


def certificate_pem(record: CertificateRecord) -> bytes:
    """A certificate as PEM."""
    return write_block(record.der, "CERTIFICATE")


def _known_certificate(
    transaction: Transaction, authority: Authority, identity: NodeIdentity, spki_der: bytes, requester: Requester
) -> CertificateRecord | None:
    records = transaction.certificates.by_public_key(_digest_of(spki_der))
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


def _verify_not_evicted(transaction: Transaction, identity: NodeIdentity, requester: Requester) -> None:
    if transaction.evictions.get(identity.node_id) is not None:
        why = f"node {identity.node_id} was evicted"
        target = ObjectRef(type="node", id=identity.node_id)
        event = requester.event(Action.CA_ISSUE, target, outcome=Outcome.DENIED, reason=why)
        raise Refusal(Denied(why, hint="let the machine join anew, under another node id"), event)


def _refused_key(why: str, identity: NodeIdentity, requester: Requester) -> Refusal:
    target = ObjectRef(type="node", id=identity.node_id)
    event = requester.event(Action.CA_ISSUE, target, outcome=Outcome.DENIED, reason=why)
    return Refusal(Denied(why, hint="make a new key on the node and ask again"), event)


def reference_of(record: CertificateRecord) -> ObjectRef:
    """A certificate as entries name it."""
    return ObjectRef(type="certificate", id=record.serial, name=record.subject_id)


def _order(
    transaction: Transaction,
    authority: Authority,
    profile: Profile,
    subject: NodeIdentity | x509.Name,
    hosts: Sequence[str],
    spki_der: bytes,
) -> Order:
    clock, issuer = transaction.clock, authority.issuer
    span = validity_at(unix_seconds(clock), authority.lifetime, issuer.not_after)
    return Order(clock, partial(LeafOrder, issuer, profile, subject, spki_der, hosts, span))


@lru_cache(maxsize=512)
def _digest_of(spki_der: bytes) -> bytes:
    """Asked for when a key is looked for, and again when it is recorded."""
    return hashlib.sha256(spki_der).digest()


def _keep(
    transaction: Transaction,
    authority: Authority,
    signed: Signed,
    *,
    name: str,
    role: Role | None,
) -> CertificateRecord:
    leaf, leaf_der = signed
    not_before, not_after = unix_of(leaf.validity)
    certificates = transaction.certificates
    record = CertificateRecord(
        id=certificates.next_id(),
        serial=f"{leaf.serial:x}",
        generation=authority.record.generation,
        profile=str(leaf.profile),
        role=str(role) if role else "",
        subject_id=name,
        cluster_id=authority.cluster_id,
        spki_sha256=_digest_of(leaf.spki_der),
        sha256=hashlib.sha256(leaf_der).digest(),
        der=leaf_der,
        not_before=not_before,
        not_after=not_after,
        status=CertificateStatus.VALID,
        revoked=0,
    )
    certificates.add(record)
    return record


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
