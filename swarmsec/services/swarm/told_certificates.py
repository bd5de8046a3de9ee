"""A node's certificate as the Swarm itself tells it, held against what the node says of its own.

A manager keeps the last certificate that was made for each node. Whether the node uses it, the node itself says, in its
TLSInfo: the issuer's name and key. Only a certificate of exactly this node in its present role, with exactly this
issuer's signature, is taken; of any other nothing is said.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import load_der_public_key

from ca import pem
from ca.algorithms import PARSE_ERRORS
from ca.bundle import parse_certificate
from ca.errors import CaError
from ca.identity import NodeIdentity, NodeRole, identity_of
from swarmsec.services.swarm.swarm_records import SwarmNode


def match_certificate(told: bytes, node: SwarmNode, cluster_id: str) -> x509.Certificate | None:
    """The certificate that a node uses, if what the Swarm tells of it is that.

    Args:
        told: PEM, the node's own certificate first; empty where the Swarm has none.
        node: as Docker describes it.

    Returns:
        the certificate; None where it is none, somebody else's, of another role, or of another issuer.
    """
    try:
        certificate = parse_certificate(pem.parse_blocks(told, "CERTIFICATE")[0])
        wanted = NodeIdentity(cluster_id=cluster_id, role=NodeRole(f"swarm-{node.role}"), node_id=node.id)
        is_node_s = identity_of(certificate) == wanted
    except (*PARSE_ERRORS, CaError, IndexError):
        return None
    if not is_node_s or certificate.issuer.public_bytes() != node.issuer.subject:
        return None
    return certificate if _is_signed_by(certificate, node.issuer.spki) else None


def _is_signed_by(certificate: x509.Certificate, spki: bytes) -> bool:
    algorithm = certificate.signature_hash_algorithm
    try:
        key = load_der_public_key(spki)
        if isinstance(key, ec.EllipticCurvePublicKey) and algorithm is not None:
            key.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(algorithm))
            return True
        if isinstance(key, rsa.RSAPublicKey) and algorithm is not None:
            key.verify(certificate.signature, certificate.tbs_certificate_bytes, PKCS1v15(), algorithm)
            return True
    except (*PARSE_ERRORS, InvalidSignature):
        return False
    return False
