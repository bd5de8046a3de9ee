"""How far the nodes of a Swarm are with a root, and whether what they show is what we issued.

SwarmKit counts a node as converged when the issuer of the certificate that it says it uses is the new root, by subject
and key (swarmkit, manager/controlapi/ca_rotation.go); when all are, it hands the new root to everybody. The same is
counted here, for each node, and held against our own issuance table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ca.bundle import parse_bundle
from ca.errors import CaError
from swarmsec.clock import unix_seconds
from swarmsec.services.ports import Transaction
from swarmsec.services.records import CertificateRecord, CertificateStatus
from swarmsec.services.swarm.swarm_records import IssuerName, SwarmNode, SwarmState


def issuer_of(root: x509.Certificate) -> IssuerName:
    """A root as nodes name it as their issuer."""
    spki = root.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return IssuerName(subject=root.subject.public_bytes(), spki=spki)


def is_root(pem: str, root: x509.Certificate) -> bool:
    """Whether a Swarm's trusted roots are exactly this one."""
    try:
        return list(parse_bundle(pem.encode())) == [root]
    except CaError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Convergence:
    """How far a Swarm is with a root."""

    renewed: tuple[SwarmNode, ...]
    """Nodes that say they have a certificate of it."""
    waiting: tuple[SwarmNode, ...]
    is_over: bool
    """Whether the Swarm has it alone, and every node trusts it."""


def converge_on(root: x509.Certificate, state: SwarmState, nodes: Sequence[SwarmNode]) -> Convergence:
    """See how far a Swarm is."""
    wanted = issuer_of(root)
    renewed = tuple(node for node in nodes if node.issuer == wanted)
    waiting = tuple(node for node in nodes if node.issuer != wanted)
    alone = not state.is_rotating and is_root(state.root_pem, root)
    trusting = all(is_root(node.root_pem, root) for node in nodes if node.state == "ready")
    return Convergence(renewed=renewed, waiting=waiting, is_over=alone and not waiting and trusting)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A node beside the certificate that we issued for it; None where there is none that counts."""

    node: SwarmNode
    record: CertificateRecord | None


def hold_against_issued(transaction: Transaction, nodes: Sequence[SwarmNode], root: x509.Certificate) -> list[Held]:
    """Find, for each node, the newest certificate of ours that it can be using: valid, of its role, under this root."""
    now = unix_seconds(transaction.clock)
    return [Held(node=node, record=_newest(transaction, node, root, now)) for node in nodes]


def _newest(transaction: Transaction, node: SwarmNode, root: x509.Certificate, now: int) -> CertificateRecord | None:
    for record in reversed(transaction.certificates.by_subject(node.id)):
        if record.status is not CertificateStatus.VALID or record.not_after <= now:
            continue
        if record.profile == f"swarm-{node.role}" and _is_under(record, root):
            return record
    return None


def _is_under(record: CertificateRecord, root: x509.Certificate) -> bool:
    try:
        x509.load_der_x509_certificate(record.der).verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
