"""Accept the managers of a Swarm that is on its way to our root, and stop when the last node has left its own."""

from __future__ import annotations

from collections.abc import Collection

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from ca.bundle import parse_bundle, write_bundle
from ca.issuing import fingerprint
from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.errors import AlreadyExists, NotFound, UsageProblem
from swarmsec.http import RoleKind
from swarmsec.services.ca.authority import Authority
from swarmsec.services.ports import Transaction
from swarmsec.services.records import CertificateStatus, SwarmRoot
from swarmsec.services.requester import SERVICE, Requester


def trust_swarm(transaction: Transaction, authority: Authority, pem: bytes, requester: Requester) -> SwarmRoot:
    """Accept client certificates under a Swarm's present root, for our own cluster id alone.

    Args:
        pem: the Swarm's root, such as the file ``swarm-root-ca.crt`` of a node.

    Raises:
        ca.errors.InvalidCertificate: not one root certificate.
        UsageProblem: it is ours, or several.
        AlreadyExists: it is accepted already.
    """
    certificates = parse_bundle(pem)
    if len(certificates) != 1:
        raise UsageProblem(f"expected one root certificate, got {len(certificates)}")
    der = certificates[0].public_bytes(Encoding.DER)
    sha256 = fingerprint(der)
    if der == authority.record.certificate:
        raise UsageProblem("this is our own root", hint="give the Swarm's present one: docker swarm ca > root.pem")
    if any(root.sha256 == sha256 for root in transaction.swarm_roots.all()):
        raise AlreadyExists(f"the root {sha256} is accepted already")
    root = SwarmRoot(
        sha256=sha256,
        pem=write_bundle(certificates),
        cluster_id=authority.cluster_id,
        added=transaction.clock.unix_ms() // 1000,
    )
    transaction.swarm_roots.add(root)
    transaction.log(requester.event(Action.SWARM_TRUST, _reference(root), fields={"cluster_id": root.cluster_id}))
    return root


def distrust_swarm(transaction: Transaction, sha256: str, requester: Requester, *, reason: str) -> None:
    """Stop accepting a Swarm's root.

    Raises:
        NotFound: it is not accepted.
    """
    for root in transaction.swarm_roots.all():
        if root.sha256 == sha256:
            transaction.swarm_roots.remove(sha256)
            transaction.log(requester.event(Action.SWARM_DISTRUST, _reference(root), reason=reason))
            return
    raise NotFound(f"no accepted root {sha256}", hint="list them with: swarmsec ca show")


def drop_left_roots(transaction: Transaction, quiet: Collection[str]) -> list[str]:
    """Drop the roots that the last node has left.

    SwarmKit ends a rotation only when every node has converged, and no node of a finished rotation shows its former
    certificate again. So a root goes when every manager seen under it holds a certificate of ours, some manager was
    seen at all, and none has come under it for a while.

    Args:
        quiet: roots under which nobody came for the configured time.

    Returns:
        the dropped roots' SHA-256.
    """
    left = [
        root.sha256
        for root in transaction.swarm_roots.all()
        if root.sha256 in quiet and _all_moved(transaction, transaction.swarm_roots.nodes(root.sha256))
    ]
    for sha256 in left:
        distrust_swarm(transaction, sha256, SERVICE, reason="the last node seen under it has a certificate of ours")
    return left


def _all_moved(transaction: Transaction, nodes: Collection[str]) -> bool:
    return bool(nodes) and all(
        any(
            record.status is CertificateStatus.VALID and record.role.startswith((RoleKind.NODE, RoleKind.SWARM_MANAGER))
            for record in transaction.certificates.by_subject(node)
        )
        for node in nodes
    )


def issued_under(certificate: x509.Certificate, roots: Collection[SwarmRoot]) -> SwarmRoot | None:
    """The accepted root that signed a certificate directly, or None."""
    for root in roots:
        (issuer,) = parse_bundle(root.pem)
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return root
    return None


def _reference(root: SwarmRoot) -> ObjectRef:
    return ObjectRef(type="swarm-root", id=root.sha256)
