"""The last look before a certificate leaves: does it say what was asked, nothing else and nothing less.

The certificate is parsed back by ``cryptography``, which shares no code with the writer in ``ca.der``; names and key
are then compared byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator

from cryptography import x509

from ca import der
from ca.algorithms import PARSE_ERRORS, PublicKey, SignatureAlgorithm, accept_key, spki_der_of, verify_signature
from ca.errors import InvalidCertificate
from ca.hosts import general_names
from ca.profiles import extensions_of
from ca.templates import Contents, Template


def verify_issued(certificate_der: bytes, *, template: Template, contents: Contents) -> x509.Certificate:
    """Return the parsed certificate if every field and extension is what was asked for.

    The signature is not verified here; see ``verify_issued_signature``.

    Args:
        certificate_der: what is about to leave.
        template: issuer and profile it was made for.
        contents: everything else that was asked for.

    Raises:
        InvalidCertificate: naming the first field that differs.
    """
    try:
        certificate = x509.load_der_x509_certificate(certificate_der)
        for field, found, asked in _fields(certificate_der, certificate, template, contents):
            if found != asked:
                raise InvalidCertificate(f"expected the certificate that was asked for, got another {field}")
    except PARSE_ERRORS as error:
        raise InvalidCertificate("expected a certificate that can be parsed back") from error
    return certificate


def verify_issued_signature(certificate: x509.Certificate, key: PublicKey, algorithm: SignatureAlgorithm) -> None:
    """Check that a certificate was signed with the key of its issuer.

    Raises:
        InvalidCertificate: when it was not.
    """
    tbs = certificate.tbs_certificate_bytes
    verify_signature(key, algorithm, certificate.signature, tbs, refusal=InvalidCertificate)


def _fields(
    certificate_der: bytes, certificate: x509.Certificate, template: Template, contents: Contents
) -> Iterator[tuple[str, object, object]]:
    """Every field of a TBSCertificate: its name, what was found, what was asked."""
    tbs, outer_algorithm, _ = der.children(certificate_der)
    _, _, algorithm, issuer, _, subject, spki_der, _ = der.children(tbs)
    key, _ = accept_key(certificate.public_key(), refusal=InvalidCertificate)
    yield "version", certificate.version, x509.Version.v3
    yield "serial", certificate.serial_number, contents.serial
    yield "signature algorithm", (outer_algorithm, algorithm), (template.algorithm.der, template.algorithm.der)
    yield "issuer", issuer, template.issuer
    yield "begin", certificate.not_valid_before_utc, contents.validity.not_before
    yield "end", certificate.not_valid_after_utc, contents.validity.not_after
    yield "subject", subject, contents.subject
    yield "public key", spki_der, contents.spki_der
    yield "encoding of the public key", spki_der_of(key), contents.spki_der
    yield "set of extensions", list(certificate.extensions), list(_extensions(template, contents))


def _extensions(template: Template, contents: Contents) -> Iterator[x509.Extension[x509.ExtensionType]]:
    yield from extensions_of(template.profile)
    values: list[x509.ExtensionType] = [x509.SubjectKeyIdentifier(contents.key_id)]
    if template.authority_key_id is not None:
        values.append(x509.AuthorityKeyIdentifier(template.authority_key_id, None, None))
    if contents.hosts:
        values.append(x509.SubjectAlternativeName(general_names(contents.hosts)))
    yield from (x509.Extension(value.oid, False, value) for value in values)
