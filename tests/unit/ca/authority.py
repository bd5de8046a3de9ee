"""An authority for tests: keys in memory, fixed times, and one helper that checks every extension of a certificate."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from ca.identity import NodeIdentity, NodeRole, new_id
from ca.issuing import Issuer, LeafOrder, issue_leaves, issue_root, serial_from
from ca.profiles import Profile, Validity, validity

VECTORS = Path(__file__).parents[2] / "vectors" / "ca"
NOW = datetime(2026, 5, 4, 10, 20, 30, 400, tzinfo=UTC)
Hash = hashes.SHA256 | hashes.SHA384 | hashes.SHA512
HASHES: dict[str, Hash] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, kw_only=True)
class KeySigner:
    """A signer over a private key in memory."""

    key: PrivateKey
    signature_hash: str = "sha256"

    @property
    def public_key_der(self) -> bytes:
        return spki_of(self.key)

    def sign(self, message: bytes) -> bytes:
        chosen = HASHES[self.signature_hash]
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(message, padding.PKCS1v15(), chosen)
        return self.key.sign(message, ec.ECDSA(chosen))


class LyingSigner(KeySigner):
    """Claims one key and signs with another, as a token with two keys of one label does."""

    def sign(self, message: bytes) -> bytes:
        return KeySigner(key=p256()).sign(message)


class LaterLiar(KeySigner):
    """Signs the probe with its key and everything after it with another."""

    def sign(self, message: bytes) -> bytes:
        honest = message.startswith(b"swarmsec:")
        return super().sign(message) if honest else KeySigner(key=p256()).sign(message)


def p256() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def spki_of(key: PrivateKey) -> bytes:
    encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(encoding, form)


def new_serial() -> int:
    return serial_from(os.urandom(20))


def new_root(signer: KeySigner) -> x509.Certificate:
    return x509.load_der_x509_certificate(issue_root(signer, serial=new_serial(), now=NOW))


def new_issuer(key: PrivateKey | None = None, *, signature_hash: str = "sha256") -> Issuer:
    signer = KeySigner(key=key or p256(), signature_hash=signature_hash)
    return Issuer(new_root(signer), signer)


def issue_leaf(
    issuer: Issuer,
    *,
    profile: Profile,
    subject: NodeIdentity | x509.Name,
    spki_der: bytes,
    hosts: Sequence[str],
    validity: Validity,
    serial: int,
) -> bytes:
    """A group of one certificate; DER."""
    (leaf,) = issue_leaves([LeafOrder(issuer, profile, subject, spki_der, hosts, validity, serial)])
    return leaf


def new_identity(role: NodeRole = NodeRole.WORKER) -> NodeIdentity:
    return NodeIdentity(cluster_id=new_id(os.urandom(17)), role=role, node_id=new_id(os.urandom(17)))


def ninety_days(issuer: Issuer) -> Validity:
    return validity(NOW, timedelta(days=90), issuer_not_after=issuer.not_after)


def key_id_of(certificate: x509.Certificate) -> str:
    return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest.hex()


def openssl(*arguments: str | Path) -> str:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def assert_extensions(certificate: x509.Certificate, expected: dict[str, tuple[bool, str]]) -> None:
    """Every extension, its criticality and its value in words, and that there is no other one."""
    found = {part.value.__class__.__name__: (part.critical, _words(part.value)) for part in certificate.extensions}
    assert found == expected


def _words(value: x509.ExtensionType) -> str:
    match value:
        case x509.KeyUsage():
            return _key_usage_words(value)
        case x509.ExtendedKeyUsage():
            return " ".join(oid.dotted_string for oid in value)
        case x509.BasicConstraints():
            return f"ca={value.ca} pathlen={value.path_length}"
        case x509.SubjectKeyIdentifier():
            return value.digest.hex()
        case x509.AuthorityKeyIdentifier(authority_cert_issuer=None, authority_cert_serial_number=None):
            return (value.key_identifier or b"").hex()
        case x509.SubjectAlternativeName():
            return " ".join(str(name.value) for name in value)
        case _:
            raise AssertionError(f"unexpected extension {value!r}")


def _key_usage_words(usage: x509.KeyUsage) -> str:
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
    )
    return " ".join(name for name in names if getattr(usage, name))
