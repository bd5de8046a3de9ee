"""Issuing certificates: roots, leaves below an issuer, and new roots below the old one.

Serials, times and keys are arguments. Whether somebody may have a certificate is decided before; what a certificate
of a profile may say is enforced here.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ca import der
from ca.algorithms import algorithm_for, parse_public_key
from ca.bundle import parse_certificate
from ca.checking import verify_issued, verify_issued_signature
from ca.errors import InvalidCertificate, InvalidRequest
from ca.identity import CA_HOST
from ca.imported_roots import verify_usable_root
from ca.issuer import Issuer, Signer, subject_key_id
from ca.leaves import LeafOrder, issue_leaves
from ca.profiles import BACKDATE, CROSS_LIFETIME, ROOT_LIFETIME, Profile, Validity, root_validity
from ca.serials import serial_from, verify_serial
from ca.templates import Contents, Template

if TYPE_CHECKING:
    from ca.cross_requests import CrossSignSubject

__all__ = [
    "Issuer",
    "LeafOrder",
    "Signer",
    "cross_sign",
    "cross_sign_requested",
    "fingerprint",
    "issue_leaves",
    "issue_root",
    "serial_from",
    "verify_issued",
]

_MAX_COMMON_NAME = 64


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
        serial=verify_serial(serial),
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


def cross_sign(issuer: Issuer, *, new_root: x509.Certificate, serial: int, validity: Validity) -> bytes:
    """Make a certificate for a new root under the old one, so that who trusts the old one accepts the new one's leaves.

    It has the new root's subject, key and subject key identifier byte for byte, for either of the two to complete a
    chain, and what every root of ours may do: no pathLenConstraint, which Go and ``cryptography`` would count against
    the leaf (RFC 5280, section 4.2.1.9, exempts it as self-issued).

    Args:
        issuer: the old root.
        new_root: signed by itself.
        serial: from ``serial_from``.
        validity: at most seven days, as ``ca.profiles.cross_validity`` makes it.

    Returns:
        the certificate, DER, its fields and its signature verified.

    Raises:
        InvalidCertificate: when the new root is none that could follow.
        InvalidRequest: when key, validity or serial do not fit.
    """
    # Reading requests is no part of issuing otherwise.
    from ca.cross_requests import CrossSignSubject

    verify_usable_root(new_root)
    if validity.not_after > new_root.not_valid_after_utc:
        raise InvalidRequest("expected a validity that ends with the new root's or before")
    subject, spki_der = _subject_and_key(new_root)
    key_id = subject_key_id(new_root, spki_der)
    return _cross_sign(issuer, CrossSignSubject(subject=subject, spki_der=spki_der, key_id=key_id), serial, validity)


def cross_sign_requested(issuer: Issuer, *, requested: CrossSignSubject, serial: int, validity: Validity) -> bytes:
    """Make the certificate that a Swarm asks for when it goes from this authority to a root of its own.

    Args:
        issuer: the root that the Swarm leaves.
        requested: from ``ca.cross_requests.check_cross_sign_request``.
        serial: from ``serial_from``.
        validity: at most seven days, as ``ca.profiles.cross_validity`` makes it.

    Returns:
        the certificate, DER, its fields and its signature verified.

    Raises:
        InvalidRequest: when key, validity or serial do not fit.
    """
    return _cross_sign(issuer, requested, serial, validity)


def fingerprint(der: bytes) -> str:
    """SHA-256 of a certificate's DER, lower-case hex."""
    return hashlib.sha256(der).hexdigest()


def _cross_sign(issuer: Issuer, subject: CrossSignSubject, serial: int, validity: Validity) -> bytes:
    if subject.spki_der == issuer.spki_der:
        raise InvalidRequest("expected a new root with a key of its own, got the issuer's key")
    if validity.not_after - validity.not_before > CROSS_LIFETIME:
        raise InvalidRequest(f"expected a cross-signed root of at most {CROSS_LIFETIME.days} days")
    if validity.not_after > issuer.not_after:
        raise InvalidRequest("expected a validity that ends with the issuer's or before")
    template = issuer.authority_template()
    contents = Contents(
        serial=verify_serial(serial),
        validity=validity,
        subject=subject.subject,
        spki_der=subject.spki_der,
        hosts=(),
        subject_key_id=subject.key_id,
    )
    tbs = template.tbs(contents)
    cross_der = template.certificate(tbs, issuer.sign(tbs))
    cross = verify_issued(cross_der, template=template, contents=contents)
    key = parse_public_key(issuer.spki_der, refusal=InvalidCertificate)
    verify_issued_signature(cross, key, issuer.algorithm)
    return cross_der


def _subject_and_key(root: x509.Certificate) -> tuple[bytes, bytes]:
    """Subject and SubjectPublicKeyInfo exactly as the root has them; another encoding would be another name to Go."""
    root_der = root.public_bytes(Encoding.DER)
    parse_certificate(root_der)
    tbs, _, _ = der.children(root_der)
    _, _, _, _, _, subject, spki_der, *_ = der.children(tbs)
    parse_public_key(spki_der, refusal=InvalidCertificate)
    return subject, spki_der


def _common_name(text: str) -> x509.Name:
    if not text.isprintable() or not 1 <= len(text.encode()) <= _MAX_COMMON_NAME:
        raise InvalidRequest(f"expected a printable common name of 1 to {_MAX_COMMON_NAME} bytes")
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
