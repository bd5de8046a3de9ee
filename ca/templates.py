"""Certificates assembled from prebuilt DER: per issuer and profile everything that never changes is encoded once.

Only serial, validity, subject, public key and names are encoded per certificate. Equality with what
``cryptography.x509.CertificateBuilder`` makes of the same values is a property test.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID

from ca import der
from ca.algorithms import P256_SPKI_START, SignatureAlgorithm
from ca.hosts import Host, general_names_der
from ca.identity import NodeIdentity, NodeRole
from ca.profiles import Profile, Validity, extensions_of


def _oid(identifier: x509.ObjectIdentifier) -> bytes:
    return der.oid(identifier.dotted_string)


_SUBJECT_KEY = _oid(ExtensionOID.SUBJECT_KEY_IDENTIFIER)
_ISSUER_KEY = _oid(ExtensionOID.AUTHORITY_KEY_IDENTIFIER)
_NAMES = _oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
_ORGANIZATION, _UNIT = _oid(NameOID.ORGANIZATION_NAME), _oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
_NAME = _oid(NameOID.COMMON_NAME)
# The octet that says how a point is written belongs to the key.
_P256_KEY = slice(len(P256_SPKI_START) - 1, None)


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Template:
    """The unchanging pieces of one issuer's certificates of one profile; what is kept for one is found by itself.

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
    _signer: bytes = field(init=False, repr=False, compare=False)
    _fixed_extensions: bytes = field(init=False, repr=False, compare=False)
    _authority_key: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        extensions = extensions_of(self.profile)
        fixed = (_extension(_oid(part.oid), part.value.public_bytes(), critical=part.critical) for part in extensions)
        object.__setattr__(self, "_signer", self.algorithm.der + self.issuer)
        object.__setattr__(self, "_fixed_extensions", b"".join(fixed))
        object.__setattr__(self, "_authority_key", _authority_key(self.authority_key_id))

    def tbs(self, contents: Contents) -> bytes:
        """The TBSCertificate to sign (RFC 5280, section 4.1)."""
        key_id = _extension(_SUBJECT_KEY, der.octet_string(contents.key_id))
        names = _extension(_NAMES, general_names_der(contents.hosts)) if contents.hosts else b""
        extensions = der.sequence(self._fixed_extensions, key_id, self._authority_key, names)
        return der.sequence(
            der.VERSION_3,
            der.integer(contents.serial),
            self._signer,
            _validity_der(contents.validity),
            contents.subject,
            contents.spki_der,
            der.explicit(3, extensions),
        )

    def certificate(self, tbs: bytes, signature: bytes) -> bytes:
        """Join what was signed and the signature into a certificate, DER."""
        head, middle = _frame(self.algorithm.der, len(tbs), len(signature))
        return b"".join((head, tbs, middle, signature))


@lru_cache(maxsize=256)
def _frame(algorithm_der: bytes, tbs_length: int, signature_length: int) -> tuple[bytes, bytes]:
    """What stands before the signed part and between it and the signature, of which there are few kinds."""
    before_bits = der.bit_string(bytes(signature_length))[: -signature_length or None]
    middle = algorithm_der + before_bits
    length = tbs_length + len(middle) + signature_length
    return der.tlv(der.SEQUENCE, bytes(length))[:-length], middle


@lru_cache(maxsize=64)
def key_identifier(spki_der: bytes) -> bytes:
    """SHA-1 over the key bits (RFC 5280, section 4.2.1.2, method 1), a name of the key and no protection."""
    if spki_der.startswith(P256_SPKI_START):
        key = spki_der[_P256_KEY]
    else:
        _, bits = der.children(spki_der)
        key = der.content(bits)[1:]
    return hashlib.sha1(key, usedforsecurity=False).digest()


def subject_der_of(identity: NodeIdentity) -> bytes:
    """The subject of a node's certificate, equal to ``subject_of(identity).public_bytes()`` and quicker."""
    return der.sequence(_cluster_and_role(identity.cluster_id, identity.role), _attribute(_NAME, identity.node_id))


@lru_cache(maxsize=16)
def _cluster_and_role(cluster_id: str, role: NodeRole) -> bytes:
    return _attribute(_ORGANIZATION, cluster_id) + _attribute(_UNIT, role.value)


def _attribute(oid: bytes, text: str) -> bytes:
    return der.set_of_one(der.sequence(oid, der.utf8(text)))


def _authority_key(key_id: bytes | None) -> bytes:
    return b"" if key_id is None else _extension(_ISSUER_KEY, der.sequence(der.implicit(0, key_id)))


@lru_cache(maxsize=64)
def _validity_der(validity: Validity) -> bytes:
    """Certificates issued in the same minute share it."""
    return der.sequence(der.time(validity.not_before), der.time(validity.not_after))


def _extension(oid: bytes, value: bytes, *, critical: bool = False) -> bytes:
    value_der = der.octet_string(value)
    return der.sequence(oid, der.TRUE, value_der) if critical else der.sequence(oid, value_der)
