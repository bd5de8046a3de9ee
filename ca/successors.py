"""Which new roots, and certificates below them, somebody may believe who trusts the old ones.

While a root is rotated the new one comes with a cross-certificate: its subject and key, signed by the old root. That
signature, and nothing said beside it, is what makes the new root acceptable to who trusts the old one (RFC 5280,
section 3.2, calls it a self-issued certificate; SwarmKit, ca/certificates.go, ``CrossSignCACertificate``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ca.algorithms import PARSE_ERRORS
from ca.bundle import verify_authority
from ca.errors import InvalidCertificate


def verify_successors(
    offered: Sequence[x509.Certificate],
    *,
    trusted: Sequence[x509.Certificate],
    cross_signed: Sequence[x509.Certificate],
    now: datetime,
) -> tuple[x509.Certificate, ...]:
    """Return the roots offered if each is trusted already or was signed by one that is.

    Args:
        offered: self-signed roots, from ``ca.bundle.parse_bundle``. Roots that are trusted and not offered are given
            up, which needs nobody's word.
        trusted: the roots believed so far.
        cross_signed: certificates that came with the offer.
        now: aware of its zone.

    Raises:
        InvalidCertificate: there are none, or one is neither trusted nor signed.
    """
    if not offered:
        raise InvalidCertificate("expected at least one root")
    for root in offered:
        if root not in trusted and not any(_vouches(cross, root, trusted, now) for cross in cross_signed):
            raise InvalidCertificate("expected roots that are trusted, or signed by one that is, got another")
    return tuple(offered)


def verify_chain(
    chain: Sequence[x509.Certificate], *, trusted: Sequence[x509.Certificate], now: datetime
) -> x509.Certificate:
    """Return the leaf if it stands directly below a trusted root, or below a new root that one of them signed.

    Args:
        chain: the leaf, and the cross-certificate of its issuer where there is one.
        trusted: roots, from ``ca.bundle.parse_bundle``.
        now: aware of its zone, for the cross-certificate; whether the leaf is in its time is not looked at.

    Raises:
        InvalidCertificate: it stands below none, or the chain has other certificates.
    """
    if not 1 <= len(chain) <= 2:
        raise InvalidCertificate(f"expected a certificate, and at most one of its issuer, got {len(chain)}")
    leaf, *intermediates = chain
    issuers = [*trusted, *(cross for cross in intermediates if _is_cross(cross, trusted, now))]
    if len(issuers) != len(trusted) + len(intermediates) or not any(_issued_by(issuer, leaf) for issuer in issuers):
        raise InvalidCertificate("expected a certificate below a trusted root")
    return leaf


def _vouches(
    cross: x509.Certificate, root: x509.Certificate, trusted: Sequence[x509.Certificate], now: datetime
) -> bool:
    """Whether a cross-certificate is that of a root: the same name, byte for byte, and the same key."""
    same_name = cross.subject.public_bytes() == root.subject.public_bytes()
    return same_name and _key(cross) == _key(root) and _is_cross(cross, trusted, now)


def _is_cross(cross: x509.Certificate, trusted: Sequence[x509.Certificate], now: datetime) -> bool:
    try:
        verify_authority(cross)
    except InvalidCertificate:
        return False
    is_in_time = cross.not_valid_before_utc <= now <= cross.not_valid_after_utc
    return is_in_time and any(_issued_by(root, cross) for root in trusted)


def _issued_by(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (*PARSE_ERRORS, InvalidSignature):
        return False
    return True


def _key(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
