"""Issuing certificates: roots, and leaves below an issuer.

The private key is behind ``Signer``, which only signs bytes, so it may live in a file, a sealed store or a token.
Serials, times and keys are arguments. Whether somebody may have a certificate is decided before; what a certificate
of a profile may say is enforced here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from cryptography import x509
from cryptography.x509.oid import NameOID

from ca.algorithms import SignatureAlgorithm, algorithm_for, parse_public_key, spki_der_of, verify_signature
from ca.bundle import verify_authority
from ca.checking import verify_issued, verify_issued_signature
from ca.errors import InvalidCertificate, InvalidRequest
from ca.hosts import parse_hosts
from ca.identity import CA_HOST, NodeIdentity, hosts_of
from ca.profiles import BACKDATE, ROOT_LIFETIME, Profile, Validity, root_validity
from ca.templates import Contents, Template, key_identifier, subject_der_of

__all__ = ["Issuer", "Signer", "fingerprint", "issue_leaf", "issue_root", "serial_from", "verify_issued"]

SERIAL_BYTES = 20
_MAX_COMMON_NAME = 64
_MIN_SERIAL_BITS, _MAX_SERIAL_BITS = 64, 159
# What is signed to see that a signer has the key it claims; no certificate, revocation list or request begins so.
_POSSESSION_PROBE = b"swarmsec: this signer holds the key of its issuer, version 1\x00"


class Signer(Protocol):
    """Who holds a private key."""

    @property
    def public_key_der(self) -> bytes:
        """SubjectPublicKeyInfo, DER."""

    @property
    def signature_hash(self) -> str:
        """``sha256``, ``sha384`` or ``sha512``."""

    def sign(self, message: bytes) -> bytes:
        """Hash and sign a message: DER of an ECDSA signature, or RSA PKCS #1 v1.5."""


class Issuer:
    """An authority's certificate together with its key.

    Args:
        certificate: of an authority.
        signer: holder of its private key; it signs one probe here.

    Raises:
        InvalidCertificate: when the certificate is no authority's, or the key is not its key.
    """

    __slots__ = ("_signer", "_templates", "algorithm", "certificate", "spki_der")

    def __init__(self, certificate: x509.Certificate, signer: Signer) -> None:
        key = parse_public_key(signer.public_key_der, refusal=InvalidCertificate)
        verify_authority(certificate)
        if certificate.public_key() != key:
            raise InvalidCertificate("expected the key of the issuer's certificate, got another key")
        self.certificate = certificate
        self.spki_der = spki_der_of(key)
        self.algorithm: SignatureAlgorithm = algorithm_for(key, signer.signature_hash, refusal=InvalidCertificate)
        self._signer = signer
        probe = signer.sign(_POSSESSION_PROBE)
        verify_signature(key, self.algorithm, probe, _POSSESSION_PROBE, refusal=InvalidCertificate)
        self._templates = {profile: self._template(profile) for profile in Profile if profile is not Profile.ROOT}

    @property
    def not_after(self) -> datetime:
        """The last second of the issuer's own certificate, UTC."""
        return self.certificate.not_valid_after_utc

    def template(self, profile: Profile) -> Template:
        """The prebuilt pieces for a profile.

        Raises:
            InvalidRequest: for roots, which nobody issues but themselves.
        """
        if profile not in self._templates:
            raise InvalidRequest(f"expected a profile of leaf certificates, got {profile.value!r}")
        return self._templates[profile]

    def sign(self, message: bytes) -> bytes:
        """Sign with the issuer's key."""
        return self._signer.sign(message)

    def _template(self, profile: Profile) -> Template:
        name = self.certificate.subject.public_bytes()
        if name not in self.certificate.tbs_certificate_bytes:
            raise InvalidCertificate("expected an issuer whose subject is in DER")
        return Template(
            profile=profile,
            algorithm=self.algorithm,
            issuer=name,
            authority_key_id=_subject_key_id(self.certificate, self.spki_der),
        )


def issue_root(
    signer: Signer,
    *,
    serial: int,
    now: datetime,
    common_name: str = CA_HOST,
    lifetime: timedelta = ROOT_LIFETIME,
    backdate: timedelta = BACKDATE,
) -> bytes:
    """Make a self-signed root.

    Args:
        signer: holder of the new key.
        serial: from ``serial_from``.
        now: time of issue, aware of its zone.
        common_name: ``swarm-ca`` as SwarmKit's; one authority's roots may differ in it.
        lifetime: the whole life of the root.
        backdate: how far before now it begins.

    Returns:
        the certificate, DER, its fields and its signature verified.

    Raises:
        InvalidRequest: for parameters out of range or a key that is not accepted.
        InvalidCertificate: when the signer signed with another key.
    """
    key = parse_public_key(signer.public_key_der, refusal=InvalidRequest)
    algorithm = algorithm_for(key, signer.signature_hash, refusal=InvalidRequest)
    subject = _common_name(common_name).public_bytes()
    template = Template(profile=Profile.ROOT, algorithm=algorithm, issuer=subject, authority_key_id=None)
    contents = Contents(
        serial=_verify_serial(serial),
        validity=root_validity(now, lifetime, backdate),
        subject=subject,
        spki_der=signer.public_key_der,
        hosts=(),
    )
    tbs = template.tbs(contents)
    root_der = template.certificate(tbs, signer.sign(tbs))
    root = verify_issued(root_der, template=template, contents=contents)
    verify_issued_signature(root, key, algorithm)
    return root_der


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
    """Make a leaf certificate.

    Args:
        issuer: who signs.
        profile: kind of certificate; a node's must be that of its role.
        subject: a node's identity for a node's profile, else a name that is not empty.
        spki_der: canonical SubjectPublicKeyInfo of the holder, DER, as ``SigningRequest`` has it.
        hosts: DNS names and IP addresses for subjectAltName; for a node exactly ``hosts_of(identity)``.
        validity: from ``ca.profiles.validity``.
        serial: from ``serial_from``.

    Returns:
        the certificate, DER, every field compared with what was asked. Its signature is the signer's; the signer
        proved its key when the issuer was made.

    Raises:
        InvalidRequest: when subject, hosts, key, validity or serial do not fit the profile or the issuer.
        InvalidCertificate: when what came out differs from what was asked.
    """
    template = issuer.template(profile)
    if spki_der == issuer.spki_der:
        raise InvalidRequest("expected a key of the holder, got the issuer's own key")
    if validity.not_after > issuer.not_after:
        raise InvalidRequest("expected a validity that ends with the issuer's or before")
    contents = Contents(
        serial=_verify_serial(serial),
        validity=validity,
        subject=_subject_for(profile, subject, hosts),
        spki_der=spki_der,
        hosts=parse_hosts(hosts),
    )
    try:
        tbs = template.tbs(contents)
    except ValueError as error:
        raise InvalidRequest("expected a public key in DER") from error
    leaf_der = template.certificate(tbs, issuer.sign(tbs))
    verify_issued(leaf_der, template=template, contents=contents)
    return leaf_der


def serial_from(random20: bytes) -> int:
    """Make a serial number: positive, always 20 octets, 158 random bits (RFC 5280, section 4.1.2.2).

    Args:
        random20: 20 bytes from a cryptographic source; the top two bits are replaced by 01.

    Raises:
        InvalidRequest: when there are not exactly 20 bytes.
    """
    if len(random20) != SERIAL_BYTES:
        raise InvalidRequest(f"expected {SERIAL_BYTES} random bytes, got {len(random20)}")
    return int.from_bytes(random20, "big") & ((1 << 158) - 1) | 1 << 158


def fingerprint(der: bytes) -> str:
    """SHA-256 of a certificate's DER, lower-case hex."""
    return hashlib.sha256(der).hexdigest()


def _subject_for(profile: Profile, subject: NodeIdentity | x509.Name, hosts: Sequence[str]) -> bytes:
    """The subject's DER, once it is clear that subject and hosts are what the profile is for."""
    if isinstance(subject, NodeIdentity):
        if profile.role is not subject.role:
            raise InvalidRequest(f"expected the profile of a {subject.role.word}, got {profile.value!r}")
        if tuple(hosts) != hosts_of(subject):
            raise InvalidRequest(f"expected exactly the hosts {', '.join(hosts_of(subject))}")
        return subject_der_of(subject)
    if profile.role is not None:
        raise InvalidRequest(f"expected a node's identity for the profile {profile.value!r}")
    if not subject.rdns:
        raise InvalidRequest("expected a subject that is not empty")
    return subject.public_bytes()


def _common_name(text: str) -> x509.Name:
    if not text.isprintable() or not 1 <= len(text.encode()) <= _MAX_COMMON_NAME:
        raise InvalidRequest(f"expected a printable common name of 1 to {_MAX_COMMON_NAME} bytes")
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _verify_serial(serial: int) -> int:
    if serial <= 0 or not _MIN_SERIAL_BITS <= serial.bit_length() <= _MAX_SERIAL_BITS:
        raise InvalidRequest(f"expected a positive serial of {_MIN_SERIAL_BITS} to {_MAX_SERIAL_BITS} bits")
    return serial


def _subject_key_id(certificate: x509.Certificate, spki_der: bytes) -> bytes:
    """The identifier that leaves point to; a root that was imported without one gets the usual hash of its key."""
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return key_identifier(spki_der)
