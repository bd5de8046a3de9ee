"""Who issues: an authority's certificate together with a signer that holds its key.

The private key is behind ``Signer``, which only signs bytes, so it may live in a file, a sealed store or a token.
"""

from __future__ import annotations

from typing import Protocol

from cryptography import x509

from ca.algorithms import SignatureAlgorithm, algorithm_for, parse_public_key, spki_der_of, verify_signature
from ca.bundle import verify_authority
from ca.errors import InvalidCertificate, InvalidRequest
from ca.profiles import Profile
from ca.templates import Template, key_identifier

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

    ``name`` is the subject of the certificate, DER, and ``key_id`` its subject key identifier: what an issued
    certificate or list names its issuer by.

    Raises:
        InvalidCertificate: when the certificate is no authority's, or the key is not its key.
    """

    __slots__ = ("_signer", "_templates", "algorithm", "certificate", "key_id", "name", "not_after", "spki_der")

    def __init__(self, certificate: x509.Certificate, signer: Signer) -> None:
        key = parse_public_key(signer.public_key_der, refusal=InvalidCertificate)
        verify_authority(certificate)
        if certificate.public_key() != key:
            raise InvalidCertificate("expected the key of the issuer's certificate, got another key")
        self.certificate = certificate
        self.not_after = certificate.not_valid_after_utc
        """The last second of the issuer's own certificate, UTC."""
        self.spki_der = spki_der_of(key)
        self.name = subject_name(certificate)
        self.key_id = subject_key_id(certificate, self.spki_der)
        self.algorithm: SignatureAlgorithm = algorithm_for(key, signer.signature_hash, refusal=InvalidCertificate)
        self._signer = signer
        probe = signer.sign(_POSSESSION_PROBE)
        verify_signature(key, self.algorithm, probe, _POSSESSION_PROBE, refusal=InvalidCertificate)
        self._templates = {profile: self._template(profile) for profile in Profile if profile is not Profile.ROOT}

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

    def authority_template(self) -> Template:
        """The pieces for certificates of other authorities, which is cross-signing."""
        return self._template(Profile.ROOT)

    def _template(self, profile: Profile) -> Template:
        return Template(profile=profile, algorithm=self.algorithm, issuer=self.name, authority_key_id=self.key_id)


def subject_key_id(certificate: x509.Certificate, spki_der: bytes) -> bytes:
    """The identifier that leaves point to; a root that was imported without one gets the usual hash of its key.

    Args:
        certificate: an authority's.
        spki_der: its canonical SubjectPublicKeyInfo, DER.
    """
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return key_identifier(spki_der)


def subject_name(certificate: x509.Certificate) -> bytes:
    """The subject of an authority, DER, byte for byte as what it issues repeats it.

    Raises:
        InvalidCertificate: when the certificate has it in another encoding.
    """
    name = certificate.subject.public_bytes()
    if name not in certificate.tbs_certificate_bytes:
        raise InvalidCertificate("expected an issuer whose subject is in DER")
    return name
