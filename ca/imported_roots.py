"""Which roots, made elsewhere, an authority may go on with.

``ca.bundle.verify_root`` says what a node can trust; here is what it takes beyond that to issue, to publish revocation
lists and to be rotated again.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509

from ca.bundle import verify_root
from ca.errors import InvalidCertificate, InvalidRequest

MIN_REMAINING = timedelta(days=365)
"""The least time a root must have left: managers refuse one with less (swarmkit, manager/controlapi/ca_rotation.go)."""


def verify_importable_root(certificate: x509.Certificate, *, now: datetime) -> x509.Certificate:
    """Return the certificate if an authority may be founded on it.

    Args:
        certificate: read by ``ca.bundle.parse_certificate`` or ``parse_bundle``.
        now: aware of its zone.

    Raises:
        InvalidCertificate: as ``verify_usable_root``; and when it has not begun or has less than a year left.
        InvalidRequest: when ``now`` has no zone.
    """
    if now.tzinfo is None:
        raise InvalidRequest("expected a time with its zone")
    verify_usable_root(certificate)
    begin, end, moment = certificate.not_valid_before_utc, certificate.not_valid_after_utc, now.astimezone(UTC)
    if begin > moment:
        raise InvalidCertificate(f"expected a root that has begun, got one that begins at {begin.isoformat()}")
    if end - moment < MIN_REMAINING:
        ends = f"{'ended' if end <= moment else 'ends'} at {end.isoformat()}"
        raise InvalidCertificate(f"expected a root with a year left, got one that {ends}")
    return certificate


def verify_usable_root(certificate: x509.Certificate) -> x509.Certificate:
    """Return the certificate if an authority can do its work with it, whatever the time.

    Raises:
        InvalidCertificate: when nodes would not trust it, as ``ca.bundle.verify_root``; when it has no subject, no
            subject key identifier, or is not an authority in the strict sense of RFC 5280 (sections 4.2.1.2,
            4.2.1.3 and 4.2.1.9): critical basicConstraints, and a key usage that names keyCertSign and cRLSign; when
            its pathLenConstraint is 0, as no cross-signed root fits below it.
    """
    verify_root(certificate)
    if not certificate.subject.rdns:
        raise InvalidCertificate("expected a root with a subject")
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound as error:
        raise InvalidCertificate("expected a root with key usage and subject key identifier") from error
    if not constraints.critical:
        raise InvalidCertificate("expected a root whose basicConstraints are critical")
    if constraints.value.path_length == 0:
        raise InvalidCertificate("expected a root without pathLen 0, which leaves no room for a rotation")
    if not (usage.key_cert_sign and usage.crl_sign):
        raise InvalidCertificate("expected a root with key usage keyCertSign and cRLSign")
    return certificate
