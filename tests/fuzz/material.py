"""Fixed material for seeds: the same keys, certificates and requests in every run, so that a finding comes again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ca import der
from ca.algorithms import SignatureAlgorithm
from ca.identity import NodeIdentity, NodeRole, hosts_of
from ca.issuing import Issuer, issue_root
from ca.profiles import ROOT_LIFETIME, swarm_node, validity
from tests.unit.ca.authority import issue_leaf

NOW = datetime(2026, 5, 4, 10, 20, 30, tzinfo=UTC)
CLUSTER = "ztk9mhxm4pqeiw9ou4ddqmowr"
NODE = "k7dqv6n8tr3x1c5b2m9f0g4hj"
SECRET = "canary0secret1of2seeds3x4"
"""Stands for the secret of a join token: 25 characters of base 36, in range."""
SECRET_HEX = "c0ffee11deadbeef22feedface33c0de44babe55f00dcafe66d15ea5e77aced1"
PASSWORD = "canary-Passw0rd-of-seeds"


def text_of(data: bytes) -> str:
    """Text as an argument of the command line may hold it; bytes that are not UTF-8 become lone surrogates."""
    return data.decode("utf-8", "surrogateescape")


@dataclass(frozen=True, kw_only=True)
class FixedSigner:
    """A signer whose signatures are the same each time (RFC 6979)."""

    key: ec.EllipticCurvePrivateKey
    signature_hash: str = "sha256"

    @property
    def public_key_der(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))


ROOT_SIGNER = FixedSigner(key=ec.derive_private_key(0x5EED1, ec.SECP256R1()))
NODE_SIGNER = FixedSigner(key=ec.derive_private_key(0x5EED2, ec.SECP256R1()))
ROOT_DER = issue_root(ROOT_SIGNER, serial=1 << 100, now=NOW)
ROOT = x509.load_der_x509_certificate(ROOT_DER)
ROOT_PEM = ROOT.public_bytes(Encoding.PEM)
ISSUER = Issuer(ROOT, ROOT_SIGNER)


def signed(tbs: bytes, signer: FixedSigner) -> bytes:
    """A certificate or request around what is to be signed, whatever that is."""
    return der.sequence(tbs, SignatureAlgorithm.ECDSA_SHA256.der, der.bit_string(signer.sign(tbs)))


def _request() -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    made = builder.sign(NODE_SIGNER.key, hashes.SHA256(), ecdsa_deterministic=True)
    return made.public_bytes(Encoding.DER)


REQUEST_DER = _request()
REQUEST_PEM = x509.load_der_x509_csr(REQUEST_DER).public_bytes(Encoding.PEM)
IDENTITY = NodeIdentity(cluster_id=CLUSTER, role=NodeRole.WORKER, node_id=NODE)
LEAF_DER = issue_leaf(
    ISSUER,
    profile=swarm_node(NodeRole.WORKER),
    subject=IDENTITY,
    spki_der=NODE_SIGNER.public_key_der,
    hosts=hosts_of(IDENTITY),
    validity=validity(NOW, ROOT_LIFETIME / 80, issuer_not_after=ISSUER.not_after),
    serial=1 << 101,
)
LEAF_PEM = x509.load_der_x509_certificate(LEAF_DER).public_bytes(Encoding.PEM)
