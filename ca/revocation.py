"""The list that publishes revocations: a CRL of version 2 (RFC 5280, section 5).

The list is assembled from DER as certificates are, because ``cryptography`` builds one only with a private key in its
hands; equality with its builder is a property test. Docker reads no such list: it is for others who rely on these
certificates, while swarmsec itself looks every certificate up.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import CRLEntryExtensionOID, ExtensionOID

from ca import der
from ca.algorithms import (
    PARSE_ERRORS,
    SignatureAlgorithm,
    accept_key,
    algorithm_of,
    spki_der_of,
    verify_signature,
)
from ca.bundle import verify_authority
from ca.errors import InvalidCertificate, InvalidRequest
from ca.issuer import Issuer, subject_key_id, subject_name
from ca.profiles import Validity
from ca.revocation_entries import (
    MAX_LIST_LIFE,
    Reason,
    Revocation,
    RevocationList,
    RevokedCertificate,
    by_serial,
    entries_to_list,
    verify_bounds,
)

__all__ = [
    "MAX_LIST_BYTES",
    "MAX_LIST_LIFE",
    "Reason",
    "Revocation",
    "RevocationList",
    "RevokedCertificate",
    "build_revocation_list",
    "entries_to_list",
    "verify_list_authority",
    "verify_revocation_list",
]

MAX_LIST_BYTES = 64 * 1024 * 1024
_VERSION_2 = der.integer(1)
_ENUMERATED = 0x0A
_FLAGS = {
    Reason.KEY_COMPROMISE: x509.ReasonFlags.key_compromise,
    Reason.CA_COMPROMISE: x509.ReasonFlags.ca_compromise,
    Reason.AFFILIATION_CHANGED: x509.ReasonFlags.affiliation_changed,
    Reason.SUPERSEDED: x509.ReasonFlags.superseded,
    Reason.CESSATION_OF_OPERATION: x509.ReasonFlags.cessation_of_operation,
    Reason.PRIVILEGE_WITHDRAWN: x509.ReasonFlags.privilege_withdrawn,
}
_REASONS = {flag: reason for reason, flag in _FLAGS.items()}


def build_revocation_list(issuer: Issuer, *, number: int, validity: Validity, entries: Sequence[Revocation]) -> bytes:
    """Make a list.

    Args:
        issuer: the authority whose certificates were revoked.
        number: cRLNumber, greater than that of every list before, up to 159 bits.
        validity: thisUpdate and nextUpdate, at most 366 days apart.
        entries: in any order, each serial once.

    Returns:
        the list, DER, its fields and its signature verified.

    Raises:
        InvalidRequest: for values out of range or a serial that occurs twice.
        InvalidCertificate: when the issuer may not sign lists, or what came out differs from what was asked.
    """
    verify_list_authority(issuer.certificate)
    asked = verify_bounds(RevocationList(number=number, validity=validity, entries=by_serial(entries)))
    tbs = _tbs(asked, issuer.algorithm, issuer.certificate)
    list_der = _envelope(tbs, issuer.algorithm, issuer.sign(tbs))
    if verify_revocation_list(list_der, authority=issuer.certificate) != asked:
        raise InvalidCertificate("expected the revocation list that was asked for, got another")
    return list_der


def verify_revocation_list(list_der: bytes, *, authority: x509.Certificate) -> RevocationList:
    """Read a list of an authority.

    Whether it is the newest and within its time is the caller's to see.

    Args:
        list_der: DER and nothing after it, at most 64 MiB.
        authority: certificate of the authority that must have signed it.

    Raises:
        InvalidCertificate: unless it is byte for byte what ``build_revocation_list`` would write, so that nothing in
            it goes unread, and is signed by this authority with an accepted algorithm.
    """
    if len(list_der) > MAX_LIST_BYTES:
        raise InvalidCertificate(f"expected a revocation list of at most {MAX_LIST_BYTES} bytes, got {len(list_der)}")
    verify_list_authority(authority)
    key, _ = accept_key(authority.public_key(), refusal=InvalidCertificate)
    try:
        parsed = x509.load_der_x509_crl(list_der)
        found = verify_bounds(_read(parsed))
        algorithm = algorithm_of(parsed.signature_algorithm_oid.dotted_string, key, refusal=InvalidCertificate)
        tbs, signature = parsed.tbs_certlist_bytes, parsed.signature
    except (*PARSE_ERRORS, InvalidRequest) as error:
        raise InvalidCertificate("expected a revocation list in DER") from error
    verify_signature(key, algorithm, signature, tbs, refusal=InvalidCertificate)
    if list_der != _envelope(_tbs(found, algorithm, authority), algorithm, signature):
        raise InvalidCertificate("expected a revocation list of this authority in its own form")
    return found


def verify_list_authority(certificate: x509.Certificate) -> x509.Certificate:
    """Return the certificate if its authority may sign lists (RFC 5280, section 4.2.1.3).

    Raises:
        InvalidCertificate: unless it is an authority's, with cRLSign where it has a key usage.
    """
    verify_authority(certificate)
    for extension in certificate.extensions:
        if isinstance(extension.value, x509.KeyUsage) and not extension.value.crl_sign:
            raise InvalidCertificate("expected a certificate of an authority, with key usage cRLSign")
    return certificate


def _envelope(tbs: bytes, algorithm: SignatureAlgorithm, signature: bytes) -> bytes:
    return der.sequence(tbs, algorithm.der, der.bit_string(signature))


def _tbs(wanted: RevocationList, algorithm: SignatureAlgorithm, authority: x509.Certificate) -> bytes:
    """The TBSCertList (RFC 5280, section 5.1.2); the member for entries is absent when there is none."""
    key, _ = accept_key(authority.public_key(), refusal=InvalidCertificate)
    key_id = der.sequence(der.implicit(0, subject_key_id(authority, spki_der_of(key))))
    extensions = der.sequence(
        _extension(ExtensionOID.AUTHORITY_KEY_IDENTIFIER, key_id),
        _extension(ExtensionOID.CRL_NUMBER, der.integer(wanted.number)),
    )
    return der.sequence(
        _VERSION_2,
        algorithm.der,
        subject_name(authority),
        der.time(wanted.validity.not_before),
        der.time(wanted.validity.not_after),
        der.sequence(*(_entry(entry) for entry in wanted.entries)) if wanted.entries else b"",
        der.explicit(0, extensions),
    )


def _entry(entry: Revocation) -> bytes:
    return der.sequence(der.integer(entry.serial), _time(entry.revoked_at), _reason(entry.reason))


@lru_cache(maxsize=16384)
def _time(moment: datetime) -> bytes:
    """What is revoked together shares it."""
    return der.time(moment)


@lru_cache(maxsize=len(Reason))
def _reason(reason: Reason) -> bytes:
    """The extensions of an entry; a reason that says nothing is left out (RFC 5280, section 5.3.1)."""
    if reason is Reason.UNSPECIFIED:
        return b""
    return der.sequence(_extension(CRLEntryExtensionOID.CRL_REASON, der.tlv(_ENUMERATED, bytes([reason]))))


def _extension(oid: x509.ObjectIdentifier, value: bytes) -> bytes:
    return der.sequence(der.oid(oid.dotted_string), der.octet_string(value))


def _read(parsed: x509.CertificateRevocationList) -> RevocationList:
    """The values of a list; what has no place in them shows when they are written again."""
    begin, end = parsed.last_update_utc, parsed.next_update_utc
    numbers = [part.value.crl_number for part in parsed.extensions if isinstance(part.value, x509.CRLNumber)]
    if end is None or len(numbers) != 1:
        raise ValueError("expected a list with nextUpdate and a number")
    return RevocationList(
        number=numbers[0],
        validity=Validity(not_before=begin, not_after=end),
        entries=tuple(_read_entry(entry) for entry in parsed),
    )


def _read_entry(entry: x509.RevokedCertificate) -> Revocation:
    reasons = [part.value.reason for part in entry.extensions if isinstance(part.value, x509.CRLReason)]
    reason = _REASONS.get(reasons[0], Reason.UNSPECIFIED) if reasons else Reason.UNSPECIFIED
    return Revocation(serial=entry.serial_number, revoked_at=entry.revocation_date_utc, reason=reason)
