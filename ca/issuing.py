"""Issuing certificates: roots, leaves below an issuer, and new roots below the old one.

Serials, times and keys are arguments. Whether somebody may have a certificate is decided before; what a certificate
of a profile may say is enforced here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ca import der
from ca.algorithms import algorithm_for, parse_public_key
from ca.bundle import parse_certificate
from ca.checking import verify_issued, verify_issued_signature
from ca.cross_requests import CrossSignSubject
from ca.errors import InvalidCertificate, InvalidRequest
from ca.hosts import Host, parse_hosts
from ca.identity import CA_HOST, NodeIdentity, hosts_of
from ca.imported_roots import verify_usable_root
from ca.issuer import Issuer, Signer, subject_key_id
from ca.moulds import Mould, fits_mould, mould_of
from ca.profiles import BACKDATE, CROSS_LIFETIME, ROOT_LIFETIME, Profile, Validity, root_validity, swarm_node
from ca.templates import Contents, Template, subject_der_of

__all__ = [
    "Issuer",
    "Signer",
    "cross_sign",
    "cross_sign_requested",
    "fingerprint",
    "issue_leaf",
    "issue_root",
    "serial_from",
    "verify_issued",
]

SERIAL_BYTES = 20
_MAX_COMMON_NAME = 64
_MIN_SERIAL_BITS, _MAX_SERIAL_BITS = 64, 159


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
    _verify_serial(serial)
    if isinstance(subject, NodeIdentity) and fits_mould(spki_der, serial):
        _verify_hosts(profile, subject, hosts)
        return _issue_from_mould(issuer, mould_of(template, validity, subject), subject, spki_der, serial)
    subject_der, names = _subject_and_names(profile, subject, hosts)
    contents = Contents(serial=serial, validity=validity, subject=subject_der, spki_der=spki_der, hosts=names)
    try:
        tbs = template.tbs(contents)
    except ValueError as error:
        raise InvalidRequest("expected a public key in DER") from error
    leaf_der = template.certificate(tbs, issuer.sign(tbs))
    verify_issued(leaf_der, template=template, contents=contents)
    return leaf_der


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


def _cross_sign(issuer: Issuer, subject: CrossSignSubject, serial: int, validity: Validity) -> bytes:
    if subject.spki_der == issuer.spki_der:
        raise InvalidRequest("expected a new root with a key of its own, got the issuer's key")
    if validity.not_after - validity.not_before > CROSS_LIFETIME:
        raise InvalidRequest(f"expected a cross-signed root of at most {CROSS_LIFETIME.days} days")
    if validity.not_after > issuer.not_after:
        raise InvalidRequest("expected a validity that ends with the issuer's or before")
    template = issuer.authority_template()
    contents = Contents(
        serial=_verify_serial(serial),
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


def _issue_from_mould(issuer: Issuer, mould: Mould, identity: NodeIdentity, spki_der: bytes, serial: int) -> bytes:
    """The same certificate as the general way makes, in fewer steps."""
    parts = mould.parts(serial.to_bytes(SERIAL_BYTES, "big"), identity.node_id.encode(), spki_der)
    tbs = b"".join(parts)
    leaf_der = mould.template.certificate(tbs, issuer.sign(tbs))
    mould.verify(leaf_der, parts)
    return leaf_der


def _verify_hosts(profile: Profile, identity: NodeIdentity, hosts: Sequence[str]) -> tuple[str, ...]:
    if profile is not swarm_node(identity.role):
        raise InvalidRequest(f"expected the profile of a {identity.role.word}, got {profile.value!r}")
    names = hosts_of(identity)
    if tuple(hosts) != names:
        raise InvalidRequest(f"expected exactly the hosts {', '.join(names)}")
    return names


def _subject_and_names(
    profile: Profile, subject: NodeIdentity | x509.Name, hosts: Sequence[str]
) -> tuple[bytes, tuple[Host, ...]]:
    """The subject's DER and the parsed hosts, once it is clear that they are what the profile is for."""
    if isinstance(subject, NodeIdentity):
        # The names of an identity are DNS names in lower case, or there would be no such identity.
        return subject_der_of(subject), _verify_hosts(profile, subject, hosts)
    if profile.role is not None:
        raise InvalidRequest(f"expected a node's identity for the profile {profile.value!r}")
    if not subject.rdns:
        raise InvalidRequest("expected a subject that is not empty")
    return subject.public_bytes(), parse_hosts(hosts)


def _common_name(text: str) -> x509.Name:
    if not text.isprintable() or not 1 <= len(text.encode()) <= _MAX_COMMON_NAME:
        raise InvalidRequest(f"expected a printable common name of 1 to {_MAX_COMMON_NAME} bytes")
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _verify_serial(serial: int) -> int:
    if serial <= 0 or not _MIN_SERIAL_BITS <= serial.bit_length() <= _MAX_SERIAL_BITS:
        raise InvalidRequest(f"expected a positive serial of {_MIN_SERIAL_BITS} to {_MAX_SERIAL_BITS} bits")
    return serial
