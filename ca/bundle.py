"""Root bundles: the certificates a Swarm trusts, as one PEM text whose exact bytes the join tokens digest."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID

from ca import der, pem
from ca.algorithms import PARSE_ERRORS, accept_key, algorithm_of
from ca.errors import InvalidCertificate

MAX_BUNDLE_BYTES = 64 * 1024
MAX_CERTIFICATES = 16
_LABEL = "CERTIFICATE"
# What every verifier that nodes use understands; another critical extension would make each of them refuse the root.
_UNDERSTOOD_CRITICAL = frozenset({ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE})


def parse_bundle(data: bytes) -> tuple[x509.Certificate, ...]:
    """Read a bundle of roots.

    Args:
        data: PEM blocks with white space around them and nothing else, at most 64 KiB and 16 certificates.

    Returns:
        the certificates in their order, each an authority that signed itself with an accepted algorithm and key.
        Whether they are within their time is not looked at; that needs a clock.

    Raises:
        InvalidCertificate: for anything else, and for a certificate that occurs twice.
    """
    if len(data) > MAX_BUNDLE_BYTES:
        raise InvalidCertificate(f"expected a bundle of at most {MAX_BUNDLE_BYTES} bytes, got {len(data)}")
    try:
        blocks = pem.parse_blocks(data, _LABEL)
    except ValueError as error:
        raise InvalidCertificate("expected PEM certificates and nothing else") from error
    if len(blocks) > MAX_CERTIFICATES:
        raise InvalidCertificate(f"expected at most {MAX_CERTIFICATES} certificates, got {len(blocks)}")
    if len(set(blocks)) != len(blocks):
        raise InvalidCertificate("expected every certificate once")
    return tuple(verify_root(parse_certificate(block)) for block in blocks)


def write_bundle(certificates: Sequence[x509.Certificate]) -> bytes:
    """Write a bundle exactly as it is served and digested.

    Args:
        certificates: in the order they shall be served.

    Returns:
        PEM, each block ended by a single newline and nothing between blocks, as Go writes it.
    """
    return b"".join(pem.write_block(certificate.public_bytes(Encoding.DER), _LABEL) for certificate in certificates)


def parse_certificate(certificate_der: bytes) -> x509.Certificate:
    """Read one certificate of version 3 wholly, so that nothing in it can fail to parse later.

    Args:
        certificate_der: the certificate and nothing after it.

    Raises:
        InvalidCertificate: when it is none, or a part of it is malformed.
    """
    try:
        _verify_envelope(certificate_der)
        certificate = x509.load_der_x509_certificate(certificate_der)
        _ = (certificate.subject, certificate.issuer, list(certificate.extensions), certificate.public_key())
        _ = (certificate.not_valid_before_utc, certificate.not_valid_after_utc, certificate.serial_number)
    except PARSE_ERRORS as error:
        raise InvalidCertificate("expected a certificate in DER") from error
    return certificate


def verify_authority(certificate: x509.Certificate) -> x509.Certificate:
    """Return the certificate if it may sign others (RFC 5280, sections 4.2.1.3 and 4.2.1.9).

    Raises:
        InvalidCertificate: unless it is a CA, with keyCertSign where it has a key usage, no critical extension beyond
            these, and an accepted key.
    """
    accept_key(certificate.public_key(), refusal=InvalidCertificate)
    values = {extension.oid: extension.value for extension in certificate.extensions}
    constraints = values.get(ExtensionOID.BASIC_CONSTRAINTS)
    usage = values.get(ExtensionOID.KEY_USAGE)
    if not isinstance(constraints, x509.BasicConstraints) or not constraints.ca:
        raise InvalidCertificate("expected a certificate of an authority, with CA:TRUE")
    if isinstance(usage, x509.KeyUsage) and not usage.key_cert_sign:
        raise InvalidCertificate("expected a certificate of an authority, with key usage keyCertSign")
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD_CRITICAL:
            oid = extension.oid.dotted_string
            raise InvalidCertificate(f"expected no critical extension that nodes would refuse, got {oid}")
    return certificate


def verify_root(certificate: x509.Certificate) -> x509.Certificate:
    """Return the certificate if it is an authority that signed itself.

    Raises:
        InvalidCertificate: when it is none, was signed by another, or with an algorithm that nodes refuse.
    """
    verify_authority(certificate)
    key, _ = accept_key(certificate.public_key(), refusal=InvalidCertificate)
    algorithm_of(certificate.signature_algorithm_oid.dotted_string, key, refusal=InvalidCertificate)
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise InvalidCertificate("expected a root that signed itself") from error
    return certificate


def _verify_envelope(certificate_der: bytes) -> None:
    """Check what ``cryptography`` only warns of or lets pass (RFC 5280, sections 4.1.1.2 and 4.1.2.2)."""
    tbs, algorithm, signature = der.children(certificate_der)
    version, serial, signed_algorithm, *_ = der.children(tbs)
    number = int.from_bytes(der.content(serial), "big", signed=True)
    if version != der.VERSION_3 or number <= 0 or algorithm != signed_algorithm:
        raise ValueError("expected version 3, a positive serial and one signature algorithm")
    # NOTE: ``cryptography`` reads a signature of which bits do not count as if all did; so it would have two forms.
    if der.content(signature)[:1] != b"\0":
        raise ValueError("expected a signature of whole octets")
