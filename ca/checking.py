"""The last look before a certificate leaves: does it say what was asked, nothing else and nothing less.

Every certificate is parsed back: ``cryptography``, which shares no code with the writer in ``ca.der``, reads version,
serial and times, and the elements of the rest are compared with what was asked, byte for byte. Of the extensions, the
names are compared with what ``cryptography`` encodes of them; those that are the same in all certificates of an issuer
and profile, with those of a sample in which ``cryptography`` has read every extension.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from ca import der
from ca.algorithms import PARSE_ERRORS, PublicKey, SignatureAlgorithm, parse_public_key, verify_signature
from ca.errors import InvalidCertificate
from ca.hosts import general_names
from ca.profiles import Validity, extensions_of
from ca.templates import Contents, Template

_SKI_OID = der.oid(ExtensionOID.SUBJECT_KEY_IDENTIFIER.dotted_string)
_SAN_OID = der.oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME.dotted_string)
_SAMPLE_BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
# Nobody reads the key of a sample, but it has to be one.
_SAMPLE = Contents(
    serial=1,
    validity=Validity(not_before=_SAMPLE_BEGIN, not_after=_SAMPLE_BEGIN + timedelta(days=1)),
    subject=der.sequence(),
    spki_der=der.sequence(der.sequence(der.oid("1.3.101.112")), der.bit_string(bytes(32))),
    hosts=("sample",),
)


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
        found = _found(certificate_der, certificate)
        asked = _asked(template, contents)
        # Its bytes are compared as well; this finds what was asked for to be no key, or one in another encoding.
        parse_public_key(contents.spki_der, refusal=InvalidCertificate)
    except PARSE_ERRORS as error:
        raise InvalidCertificate("expected a certificate that can be parsed back") from error
    if found != asked:
        fields = zip(_Fields._fields, found, asked, strict=True)
        name = next(field for field, one, other in fields if one != other).replace("_", " ")
        raise InvalidCertificate(f"expected the certificate that was asked for, got another {name}")
    return certificate


def verify_issued_signature(certificate: x509.Certificate, key: PublicKey, algorithm: SignatureAlgorithm) -> None:
    """Check that a certificate was signed with the key of its issuer.

    Raises:
        InvalidCertificate: when it was not.
    """
    tbs = certificate.tbs_certificate_bytes
    verify_signature(key, algorithm, certificate.signature, tbs, refusal=InvalidCertificate)


class _Fields(NamedTuple):
    """Every field of a certificate but its signature; bytes are DER elements."""

    version: x509.Version
    serial: int
    signature_algorithm: tuple[bytes, bytes]
    issuer: bytes
    begin: datetime
    end: datetime
    subject: bytes
    public_key: bytes
    set_of_extensions: bytes


def _found(certificate_der: bytes, certificate: x509.Certificate) -> _Fields:
    tbs, outer_algorithm, _ = der.children(certificate_der)
    _, _, algorithm, issuer, _, subject, spki_der, extensions = der.children(tbs)
    return _Fields(
        certificate.version,
        certificate.serial_number,
        (outer_algorithm, algorithm),
        issuer,
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        subject,
        spki_der,
        extensions,
    )


def _asked(template: Template, contents: Contents) -> _Fields:
    return _Fields(
        x509.Version.v3,
        contents.serial,
        (template.algorithm.der, template.algorithm.der),
        template.issuer,
        contents.validity.not_before,
        contents.validity.not_after,
        contents.subject,
        contents.spki_der,
        _asked_extensions(template, contents),
    )


def _asked_extensions(template: Template, contents: Contents) -> bytes:
    before, after = _settled(template)
    key_id = _extension(_SKI_OID, der.octet_string(contents.key_id))
    names = b""
    if contents.hosts:
        names = _extension(_SAN_OID, x509.SubjectAlternativeName(general_names(contents.hosts)).public_bytes())
    return der.explicit(3, der.sequence(before, key_id, after, names))


def _extension(oid: bytes, value: bytes) -> bytes:
    return der.sequence(oid, der.octet_string(value))


@lru_cache(maxsize=64)
def _settled(template: Template) -> tuple[bytes, bytes]:
    """What all certificates of a template share: the extensions before the key's identifier, and those after it.

    They are those of a sample, once ``cryptography`` has read in it exactly the extensions of profile and issuer.

    Raises:
        InvalidCertificate: the template writes others.
    """
    sample_der = template.certificate(template.tbs(_SAMPLE), b"")
    found = list(x509.load_der_x509_certificate(sample_der).extensions)
    if found != list(_sample_extensions(template)):
        raise InvalidCertificate("expected the certificate that was asked for, got another set of extensions")
    tbs, _, _ = der.children(sample_der)
    *_, extensions = der.children(tbs)
    (listed,) = der.children(extensions)
    elements = der.children(listed)
    fixed = len(extensions_of(template.profile))
    return b"".join(elements[:fixed]), b"".join(elements[fixed + 1 : -1])


def _sample_extensions(template: Template) -> Iterator[x509.Extension[x509.ExtensionType]]:
    yield from extensions_of(template.profile)
    values: list[x509.ExtensionType] = [x509.SubjectKeyIdentifier(_SAMPLE.key_id)]
    if template.authority_key_id is not None:
        values.append(x509.AuthorityKeyIdentifier(template.authority_key_id, None, None))
    values.append(x509.SubjectAlternativeName(general_names(_SAMPLE.hosts)))
    yield from (x509.Extension(value.oid, False, value) for value in values)
