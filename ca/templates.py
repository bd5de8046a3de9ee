"""Certificates assembled from prebuilt DER: per issuer and profile everything that never changes is encoded once.

Only serial, validity, subject, public key and names are encoded per certificate. Equality with what
``cryptography.x509.CertificateBuilder`` makes of the same values is a property test.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID

from ca import der
from ca.algorithms import SignatureAlgorithm
from ca.hosts import Host, general_names_der
from ca.identity import NodeIdentity
from ca.profiles import Profile, Validity, extensions_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What one certificate says, beyond what its profile and issuer fix.

    Args:
        serial: positive.
        validity: first and last second.
        subject: DER Name.
        spki_der: canonical SubjectPublicKeyInfo, DER.
        hosts: names for subjectAltName; empty for roots, which have none.
        subject_key_id: the identifier of the key where it has one already; None for the hash of the key.
    """

    serial: int
    validity: Validity
    subject: bytes
    spki_der: bytes
    hosts: tuple[Host, ...]
    subject_key_id: bytes | None = None

    @property
    def key_id(self) -> bytes:
        """The subject key identifier."""
        return key_identifier(self.spki_der) if self.subject_key_id is None else self.subject_key_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """The unchanging pieces of one issuer's certificates of one profile.

    Args:
        profile: kind of certificate.
        algorithm: what the issuer signs with.
        issuer: DER Name, byte for byte the subject of the issuer's certificate.
        authority_key_id: subject key identifier of the issuer; None for roots, which have no AKI.
    """

    profile: Profile
    algorithm: SignatureAlgorithm
    issuer: bytes
    authority_key_id: bytes | None

    def tbs(self, contents: Contents) -> bytes:
        """The TBSCertificate to sign (RFC 5280, section 4.1)."""
        extensions = der.sequence(
            _fixed_extensions(self.profile),
            _extension(ExtensionOID.SUBJECT_KEY_IDENTIFIER, der.octet_string(contents.key_id)),
            _authority_key(self.authority_key_id),
            _alternative_names(contents.hosts),
        )
        return der.sequence(
            der.VERSION_3,
            der.integer(contents.serial),
            self.algorithm.der,
            self.issuer,
            _validity_der(contents.validity),
            contents.subject,
            contents.spki_der,
            der.explicit(3, extensions),
        )

    def certificate(self, tbs: bytes, signature: bytes) -> bytes:
        """Join what was signed and the signature into a certificate, DER."""
        return der.sequence(tbs, self.algorithm.der, der.bit_string(signature))


@lru_cache(maxsize=64)
def key_identifier(spki_der: bytes) -> bytes:
    """SHA-1 over the key bits (RFC 5280, section 4.2.1.2, method 1), a name of the key and no protection."""
    _, key = der.children(spki_der)
    return hashlib.sha1(der.content(key)[1:], usedforsecurity=False).digest()


def subject_der_of(identity: NodeIdentity) -> bytes:
    """The subject of a node's certificate, equal to ``subject_of(identity).public_bytes()`` and quicker."""
    return der.sequence(
        _attribute(NameOID.ORGANIZATION_NAME, identity.cluster_id),
        _attribute(NameOID.ORGANIZATIONAL_UNIT_NAME, identity.role.value),
        _attribute(NameOID.COMMON_NAME, identity.node_id),
    )


def _attribute(oid: x509.ObjectIdentifier, text: str) -> bytes:
    return der.set_of_one(der.sequence(der.oid(oid.dotted_string), der.utf8(text)))


@lru_cache(maxsize=len(Profile))
def _fixed_extensions(profile: Profile) -> bytes:
    extensions = extensions_of(profile)
    return b"".join(_extension(part.oid, part.value.public_bytes(), critical=part.critical) for part in extensions)


@lru_cache(maxsize=64)
def _authority_key(key_id: bytes | None) -> bytes:
    if key_id is None:
        return b""
    return _extension(ExtensionOID.AUTHORITY_KEY_IDENTIFIER, der.sequence(der.implicit(0, key_id)))


def _alternative_names(hosts: tuple[Host, ...]) -> bytes:
    return _extension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, general_names_der(hosts)) if hosts else b""


@lru_cache(maxsize=64)
def _validity_der(validity: Validity) -> bytes:
    """Certificates issued in the same minute share it."""
    return der.sequence(der.time(validity.not_before), der.time(validity.not_after))


def _extension(oid: x509.ObjectIdentifier, value: bytes, *, critical: bool = False) -> bytes:
    return der.sequence(der.oid(oid.dotted_string), der.TRUE if critical else b"", der.octet_string(value))
