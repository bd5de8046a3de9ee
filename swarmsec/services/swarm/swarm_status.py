"""A Swarm's nodes beside the certificates that we issued for them.

Docker's HTTP API shows who issued a node's certificate and nothing of the certificate. So the dates come from our
issuance table, and only where the node itself names a root of ours as its issuer: then the newest certificate of its
role under that root is the one that it uses, or just got. Where the Swarm's control API was asked as well, its word
counts for what our table does not have, or has otherwise. What is not known is said to be not known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ca.bundle import parse_bundle
from ca.errors import CaError
from ca.issuing import fingerprint
from ca.profiles import Profile
from ca.renewal import is_overdue, renewal_time
from swarmsec.clock import rfc3339_seconds, unix_seconds
from swarmsec.services.ports import Transaction
from swarmsec.services.records import CertificateRecord, CertificateStatus
from swarmsec.services.swarm.convergence import is_root, issuer_of
from swarmsec.services.swarm.rotate_swarm_root import Part, part_under_way
from swarmsec.services.swarm.swarm_records import IssuerName, SwarmNode, SwarmState
from swarmsec.services.swarm.swarm_rotation_records import SwarmRotationRecord, load_swarm_rotation
from swarmsec.services.swarm.told_certificates import match_certificate

ISSUED, SWARM, NONE = "issued", "swarm", "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCertificate:
    """What is shown of a node's certificate. Times in Unix seconds."""

    serial: str
    not_before: int
    not_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the Swarm's control API told.

    Args:
        where: it was asked.
        certificates: of its nodes, PEM by node id; empty where it told none of a node.
        problem: why it told nothing; empty where it did.
    """

    where: str
    certificates: Mapping[str, bytes]
    problem: str = ""

    def members(self) -> dict[str, object]:
        """The answer as JSON members."""
        told = sum(bool(certificate) for certificate in self.certificates.values())
        return {"address": self.where, "certificates": told, "problem": self.problem or None}


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """One node. Times in Unix seconds; ``certificate`` is None where nothing is known of it."""

    node: SwarmNode
    certificate: ShownCertificate | None
    issuer: str
    """SHA-256 of the root that issued it; empty if that is not known."""
    source: str
    is_converged: bool
    renew_after: int | None
    is_overdue: bool
    is_expired: bool

    def members(self) -> dict[str, object]:
        """The node as JSON members."""
        node, certificate = self.node, self.certificate
        return {
            "id": node.id,
            "hostname": node.hostname,
            "role": node.role,
            "state": node.state,
            "not_before": rfc3339_seconds(certificate.not_before) if certificate else None,
            "not_after": rfc3339_seconds(certificate.not_after) if certificate else None,
            "serial": certificate.serial if certificate else None,
            "issuer": self.issuer or None,
            "source": self.source,
            "converged": self.is_converged,
            "renew_after": rfc3339_seconds(self.renew_after) if self.renew_after is not None else None,
            "overdue": self.is_overdue,
            "expired": self.is_expired,
            "leader": node.is_leader,
            "engine_version": node.engine_version or None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Obsolete:
    """A manager's certificate that rules the Swarm as far as Docker knows, and that nobody should have any more."""

    record: CertificateRecord
    hostname: str
    reason: str
    """``demoted``, ``removed`` or ``replaced``."""

    def members(self) -> dict[str, object]:
        """The certificate as JSON members."""
        return {
            "node_id": self.record.subject_id,
            "hostname": self.hostname or None,
            "serial": self.record.serial,
            "not_after": rfc3339_seconds(self.record.not_after),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmStatus:
    """A Swarm at one moment.

    Args:
        answers: whether each external authority's URL answers under its root; None where that was not tried.
        told: what the control API told; None where it was not asked.
        leading: the rotation that leads the Swarm to another root of ours; None where none is under way.
        part: where that is.
    """

    state: SwarmState
    root_sha256: str
    is_ours: bool
    answers: Sequence[bool | None]
    nodes: Sequence[NodeStatus]
    obsolete: Sequence[Obsolete]
    told: Told | None = None
    leading: SwarmRotationRecord | None = None
    part: Part = Part.DONE

    def members(self) -> dict[str, object]:
        """The Swarm as JSON members."""
        return {
            "cluster_id": self.state.id,
            "root_sha256": self.root_sha256,
            "ours": self.is_ours,
            "rotation_in_progress": self.state.is_rotating,
            "root_rotation": self._leading_members(),
            "autolock": self.state.is_autolocked,
            "external_cas": [
                {"url": item.url, "answers": answers}
                for item, answers in zip(self.state.external_cas, self.answers, strict=True)
            ],
            "control_api": self.told.members() if self.told else None,
            "nodes": [node.members() for node in self.nodes],
            "obsolete_manager_certificates": [item.members() for item in self.obsolete],
        }

    def _leading_members(self) -> dict[str, object] | None:
        if self.leading is None:
            return None
        started = rfc3339_seconds(self.leading.started) if self.leading.started else None
        return {"part": self.part.value, "goes_back": self.leading.goes_back, "started": started}


def swarm_status(
    transaction: Transaction,
    state: SwarmState,
    nodes: Sequence[SwarmNode],
    answers: Sequence[bool | None],
    told: Told | None = None,
) -> SwarmStatus:
    """Hold a Swarm against the issuance table, and against what its control API told."""
    now = unix_seconds(transaction.clock)
    roots = {
        record.generation: x509.load_der_x509_certificate(record.certificate)
        for record in transaction.authorities.all()
    }
    active = transaction.authorities.active()
    ours = active is not None and is_root(state.root_pem, roots[active.generation])
    issued = _by_subject(transaction, now)
    table = _Table(
        transaction=transaction,
        issued=issued,
        generations=_generations(roots),
        fingerprints=_fingerprints(roots, state),
        told=told.certificates if told else {},
        now=now,
    )
    listed = [table.status_of(node, state) for node in nodes]
    return SwarmStatus(
        state=state,
        root_sha256=_root_sha256(state),
        is_ours=ours,
        answers=answers,
        nodes=sorted(listed, key=lambda item: (item.node.role, item.node.label)),
        # Under another root than the Swarm's, what we issued is believed by nobody.
        obsolete=_obsolete(issued, nodes, active.generation) if active is not None and ours else [],
        told=told,
        leading=load_swarm_rotation(transaction),
        part=part_under_way(transaction),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """What is known of certificates.

    Args:
        issued: by us and unexpired, by node id.
        generations: of our roots, by how nodes name them.
        fingerprints: of every root that is known, by how nodes name it.
        told: by the control API.
    """

    transaction: Transaction
    issued: Mapping[str, Sequence[CertificateRecord]]
    generations: Mapping[IssuerName, Collection[int]]
    fingerprints: Mapping[IssuerName, str]
    told: Mapping[str, bytes]
    now: int

    def status_of(self, node: SwarmNode, state: SwarmState) -> NodeStatus:
        certificate, source = self._find(node, state)
        life = _life(certificate) if certificate else None
        return NodeStatus(
            node=node,
            certificate=certificate,
            issuer=self.fingerprints.get(node.issuer, "") if certificate else "",
            source=source,
            is_converged=node.issuer == state.issuer and (state.is_rotating or node.root_pem == state.root_pem),
            renew_after=int(renewal_time(*life, 0).timestamp()) if life else None,
            is_overdue=life is not None and is_overdue(*life, now=datetime.fromtimestamp(self.now, UTC)),
            is_expired=certificate is not None and certificate.not_after <= self.now,
        )

    def _find(self, node: SwarmNode, state: SwarmState) -> tuple[ShownCertificate | None, str]:
        record = self._record_of(node)
        told = match_certificate(self.told[node.id], node, state.id) if node.id in self.told else None
        if told is not None and (record is None or told.serial_number != int(record.serial, 16)):
            return _shown(told), SWARM
        if record is None:
            return None, NONE
        shown = ShownCertificate(serial=record.serial, not_before=record.not_before, not_after=record.not_after)
        return shown, ISSUED

    def _record_of(self, node: SwarmNode) -> CertificateRecord | None:
        known = self.generations.get(node.issuer, ())
        # One that was off too long shows its last certificate, which has expired.
        candidates = self.issued.get(node.id) or (self.transaction.certificates.by_subject(node.id) if known else ())
        return next(
            (
                record
                for record in reversed(candidates)
                if record.generation in known
                and record.profile == f"swarm-{node.role}"
                and record.status is not CertificateStatus.REVOKED
            ),
            None,
        )


def _generations(roots: Mapping[int, x509.Certificate]) -> Mapping[IssuerName, Collection[int]]:
    found: dict[IssuerName, set[int]] = defaultdict(set)
    for generation, root in roots.items():
        found[issuer_of(root)].add(generation)
    return found


def _fingerprints(roots: Mapping[int, x509.Certificate], state: SwarmState) -> Mapping[IssuerName, str]:
    try:
        present = parse_bundle(state.root_pem.encode())
    except CaError:
        present = ()
    return {issuer_of(root): fingerprint_of(root) for root in (*present, *roots.values())}


def _shown(certificate: x509.Certificate) -> ShownCertificate:
    return ShownCertificate(
        serial=f"{certificate.serial_number:x}",
        not_before=int(certificate.not_valid_before_utc.timestamp()),
        not_after=int(certificate.not_valid_after_utc.timestamp()),
    )


def _by_subject(transaction: Transaction, now: int) -> Mapping[str, Sequence[CertificateRecord]]:
    found: dict[str, list[CertificateRecord]] = defaultdict(list)
    for record in transaction.certificates.unexpired(now):
        if record.profile in {Profile.SWARM_MANAGER, Profile.SWARM_WORKER}:
            found[record.subject_id].append(record)
    return found


def _obsolete(
    issued: Mapping[str, Sequence[CertificateRecord]], nodes: Sequence[SwarmNode], generation: int
) -> list[Obsolete]:
    present = {node.id: node for node in nodes}
    found = []
    for node_id, records in issued.items():
        believed = (record for record in records if record.generation == generation)
        managing = [record for record in believed if record.profile == Profile.SWARM_MANAGER]
        node = present.get(node_id)
        if node is None:
            found += [Obsolete(record=record, hostname="", reason="removed") for record in managing]
        elif node.role != "manager":
            found += [Obsolete(record=record, hostname=node.hostname, reason="demoted") for record in managing]
        else:
            found += [Obsolete(record=record, hostname=node.hostname, reason="replaced") for record in managing[:-1]]
    return found


def _life(certificate: ShownCertificate) -> tuple[datetime, datetime]:
    return datetime.fromtimestamp(certificate.not_before, UTC), datetime.fromtimestamp(certificate.not_after, UTC)


def fingerprint_of(root: x509.Certificate) -> str:
    """A root's SHA-256, lower-case hex."""
    return fingerprint(root.public_bytes(Encoding.DER))


def _root_sha256(state: SwarmState) -> str:
    try:
        (root,) = parse_bundle(state.root_pem.encode())
    except (CaError, ValueError):
        return ""
    return fingerprint_of(root)
