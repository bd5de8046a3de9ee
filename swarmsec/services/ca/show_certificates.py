"""All that is known of certificates: those of a node or identity, or the one of a serial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cryptography import x509

from swarmsec.services.ca.find_certificates import find_certificates
from swarmsec.services.ca.list_certificates import ListedCertificate, list_certificates
from swarmsec.services.ports import Transaction


def describe_certificates(transaction: Transaction, target: str) -> Sequence[Mapping[str, object]]:
    """Certificates as JSON members, oldest first.

    Args:
        target: a node, a named identity, or a serial, as ``find_certificates`` takes it.

    Raises:
        NotFound: nothing was ever issued under this name or serial.
    """
    return [_describe(item) for item in list_certificates(transaction, find_certificates(transaction, target))]


def _describe(item: ListedCertificate) -> Mapping[str, object]:
    record = item.record
    certificate = x509.load_der_x509_certificate(record.der)
    return {
        **item.members(),
        "profile": record.profile,
        "api_role": record.role,
        "subject": certificate.subject.rfc4514_string(),
        "hosts": _hosts(certificate),
        "sha256": record.sha256.hex(),
        "spki_sha256": record.spki_sha256.hex(),
    }


def _hosts(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in names]
