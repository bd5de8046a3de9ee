"""Revocation lists, judged by ``openssl`` and compared with what ``cryptography`` builds."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from ca import der
from ca.bundle import write_bundle
from ca.errors import InvalidCertificate, InvalidRequest
from ca.identity import hosts_of
from ca.issuing import Issuer
from ca.pem import write_block
from ca.profiles import Profile, Validity
from ca.revocation import (
    MAX_LIST_BYTES,
    MAX_LIST_LIFE,
    Reason,
    Revocation,
    RevocationList,
    build_revocation_list,
    verify_list_authority,
    verify_revocation_list,
)
from tests.unit.ca.authority import (
    HASHES,
    NOW,
    KeySigner,
    LaterLiar,
    PrivateKey,
    issue_leaf,
    new_identity,
    new_issuer,
    new_serial,
    ninety_days,
    openssl,
    p256,
    spki_of,
)
from tests.unit.ca.foreign_roots import CONSTRAINTS, GOOD, KEY_ID, usage

KEYS: dict[str, PrivateKey] = {
    "sha256": p256(),
    "sha384": ec.generate_private_key(ec.SECP384R1()),
    "sha512": rsa.generate_private_key(public_exponent=65537, key_size=2048),
}
ISSUERS = {name: new_issuer(key, signature_hash=name) for name, key in KEYS.items()}
ISSUER = ISSUERS["sha256"]
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
UPDATE = NOW.replace(microsecond=0)
WEEK = Validity(not_before=UPDATE, not_after=UPDATE + 7 * DAY)

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2300, 1, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0)
)
REVOCATIONS = st.builds(
    Revocation, serial=st.integers(1, 2**159 - 1), revoked_at=MOMENTS, reason=st.sampled_from(Reason)
)
ENTRIES = st.lists(REVOCATIONS, max_size=8, unique_by=lambda entry: entry.serial)
WEEKS = st.builds(
    lambda begin, life: Validity(not_before=begin, not_after=begin + life),
    MOMENTS,
    st.integers(1, 366 * 86400).map(lambda seconds: timedelta(seconds=seconds)),
)
FLAGS = {
    Reason.KEY_COMPROMISE: x509.ReasonFlags.key_compromise,
    Reason.CA_COMPROMISE: x509.ReasonFlags.ca_compromise,
    Reason.AFFILIATION_CHANGED: x509.ReasonFlags.affiliation_changed,
    Reason.SUPERSEDED: x509.ReasonFlags.superseded,
    Reason.CESSATION_OF_OPERATION: x509.ReasonFlags.cessation_of_operation,
    Reason.PRIVILEGE_WITHDRAWN: x509.ReasonFlags.privilege_withdrawn,
}


def by_serial(entries: Iterable[Revocation]) -> list[Revocation]:
    return sorted(entries, key=lambda entry: entry.serial)


def revoked(serial: int, reason: Reason = Reason.UNSPECIFIED) -> Revocation:
    return Revocation(serial=serial, revoked_at=UPDATE, reason=reason)


def made(*entries: Revocation, issuer: Issuer = ISSUER, number: int = 7, validity: Validity = WEEK) -> bytes:
    return build_revocation_list(issuer, number=number, validity=validity, entries=entries)


def builder(
    number: int, validity: Validity, entries: Sequence[Revocation], issuer: Issuer = ISSUER
) -> x509.CertificateRevocationListBuilder:
    """The same list for the builder of ``cryptography``, which keeps the order it is given."""
    built = x509.CertificateRevocationListBuilder().issuer_name(issuer.certificate.subject)
    built = built.last_update(validity.not_before).next_update(validity.not_after)
    for entry in by_serial(entries):
        one = x509.RevokedCertificateBuilder(entry.serial, entry.revoked_at)
        if entry.reason in FLAGS:
            one = one.add_extension(x509.CRLReason(FLAGS[entry.reason]), critical=False)
        built = built.add_revoked_certificate(one.build())
    built = built.add_extension(x509.AuthorityKeyIdentifier(issuer.key_id, None, None), critical=False)
    return built.add_extension(x509.CRLNumber(number), critical=False)


@given(st.integers(0, 2**159 - 1), WEEKS, ENTRIES, st.sampled_from(sorted(KEYS)))
def test_lists_equal_the_builders(number: int, validity: Validity, entries: list[Revocation], name: str) -> None:
    issuer = ISSUERS[name]
    ours = build_revocation_list(issuer, number=number, validity=validity, entries=entries)
    signed = builder(number, validity, entries, issuer).sign(KEYS[name], HASHES[name])
    assert x509.load_der_x509_crl(ours).tbs_certlist_bytes == signed.tbs_certlist_bytes
    asked = RevocationList(number=number, validity=validity, entries=tuple(by_serial(entries)))
    for list_der in (ours, signed.public_bytes(Encoding.DER)):
        assert verify_revocation_list(list_der, authority=issuer.certificate) == asked


def leaf() -> x509.Certificate:
    identity = new_identity()
    issued = issue_leaf(
        ISSUER,
        profile=Profile.SWARM_WORKER,
        subject=identity,
        spki_der=spki_of(p256()),
        hosts=hosts_of(identity),
        validity=ninety_days(ISSUER),
        serial=new_serial(),
    )
    return x509.load_der_x509_certificate(issued)


@pytest.mark.parametrize("name", KEYS)
def test_openssl_verifies_a_list(name: str, tmp_path: Path) -> None:
    root, file = tmp_path / "root.pem", tmp_path / "list.pem"
    root.write_bytes(write_bundle([ISSUERS[name].certificate]))
    file.write_bytes(
        write_block(made(*(revoked(new_serial(), one) for one in Reason), issuer=ISSUERS[name]), "X509 CRL")
    )
    command: list[str | Path] = ["openssl", "crl", "-in", file, "-CAfile", root, "-noout", "-crlnumber", "-text"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == "verify OK\n"
    for line in ("Version 2 (0x1)", "Last Update: May  4 10:20:30 2026 GMT", "Next Update: May 11 10:20:30 2026 GMT"):
        assert line in done.stdout
    # How far extensions stand in is another matter in OpenSSL 3.6.
    assert "crlNumber=0x07\n" in done.stdout
    for words in ("Key Compromise", "CA Compromise", "Superseded", "Cessation Of Operation", "Privilege Withdrawn"):
        assert words in done.stdout


def test_openssl_refuses_who_is_listed_and_nobody_else(tmp_path: Path) -> None:
    bad, good = leaf(), leaf()
    names = ("root.pem", "list.pem", "bad.pem", "good.pem")
    root, file, bad_file, good_file = (tmp_path / name for name in names)
    root.write_bytes(write_bundle([ISSUER.certificate]))
    bad_file.write_bytes(write_bundle([bad]))
    good_file.write_bytes(write_bundle([good]))
    check: list[str | Path] = ["verify", "-x509_strict", "-crl_check", "-attime", str(int(NOW.timestamp()))]
    check += ["-CAfile", root, "-CRLfile", file]
    for entries in ((), (revoked(new_serial()), revoked(bad.serial_number, Reason.KEY_COMPROMISE))):
        file.write_bytes(write_block(made(*entries), "X509 CRL"))
        openssl(*check, good_file)
    done = subprocess.run(["openssl", *check, bad_file], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "certificate revoked" in done.stderr


def test_entries_are_written_by_ascending_serial() -> None:
    entries = [revoked(serial) for serial in (300, 2, 2**158, 127, 128)]
    assert [entry.serial_number for entry in x509.load_der_x509_crl(made(*entries))] == [2, 127, 128, 300, 2**158]


def test_a_list_without_entries_has_no_member_for_them() -> None:
    tbs, _, _ = der.children(made())
    assert len(der.children(tbs)) == 6
    assert len(der.children(der.children(made(revoked(1)))[0])) == 7


@pytest.mark.parametrize("number", [-1, 2**159])
def test_numbers_are_bounded(number: int) -> None:
    with pytest.raises(InvalidRequest, match="list number"):
        made(number=number)


def test_a_list_lives_a_year_at_most() -> None:
    longest = replace(WEEK, not_after=WEEK.not_before + MAX_LIST_LIFE)
    assert made(validity=longest)
    with pytest.raises(InvalidRequest, match="next list within 366 days"):
        made(validity=replace(longest, not_after=longest.not_after + SECOND))


def test_a_serial_is_listed_once() -> None:
    with pytest.raises(InvalidRequest, match="every serial once"):
        made(revoked(5), revoked(6), revoked(5, Reason.SUPERSEDED))


def test_the_number_of_entries_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ca.revocation_entries.MAX_ENTRIES", 2)
    assert made(revoked(1), revoked(2))
    with pytest.raises(InvalidRequest, match="at most 2 revocations, got 3"):
        made(revoked(1), revoked(2), revoked(3))


def test_an_authority_without_the_usage_signs_no_list() -> None:
    key = p256()
    root = replace(GOOD, key=key, extensions=[CONSTRAINTS, (usage(crl_sign=False), True), KEY_ID]).made()
    with pytest.raises(InvalidCertificate, match="cRLSign"):
        made(issuer=Issuer(root, KeySigner(key=key)))
    with pytest.raises(InvalidCertificate, match="cRLSign"):
        verify_revocation_list(made(), authority=root)
    with pytest.raises(InvalidCertificate, match="CA:TRUE"):
        verify_list_authority(leaf())


def test_a_list_of_an_imported_root_names_its_key_as_the_root_does() -> None:
    key = p256()
    issuer = Issuer(replace(GOOD, key=key).made(), KeySigner(key=key))
    parsed = x509.load_der_x509_crl(made(issuer=issuer))
    named = parsed.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert named.key_identifier == b"made elsewhere"


def test_a_wrong_signature_does_not_leave() -> None:
    key = p256()
    with pytest.raises(InvalidCertificate, match="signature is not valid"):
        made(issuer=Issuer(new_issuer(key).certificate, LaterLiar(key=key)))


LIST = made(revoked(5), revoked(6, Reason.SUPERSEDED))


@given(st.integers(0, len(LIST) - 1), st.integers(1, 255))
def test_no_byte_of_a_list_may_differ(position: int, difference: int) -> None:
    changed = bytearray(LIST)
    changed[position] ^= difference
    with pytest.raises(InvalidCertificate):
        verify_revocation_list(bytes(changed), authority=ISSUER.certificate)


@given(st.binary(max_size=200) | st.integers(0, len(LIST) - 1).map(lambda end: LIST[:end]))
def test_what_is_no_list_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidCertificate):
        verify_revocation_list(data, authority=ISSUER.certificate)


def test_more_than_a_list_is_refused() -> None:
    for data in (LIST + b"\x00", LIST + LIST, b"\x00" * (MAX_LIST_BYTES + 1)):
        with pytest.raises(InvalidCertificate):
            verify_revocation_list(data, authority=ISSUER.certificate)


def test_a_list_of_another_authority_is_refused() -> None:
    with pytest.raises(InvalidCertificate, match="signature is not valid"):
        verify_revocation_list(LIST, authority=new_issuer().certificate)


def signed(built: x509.CertificateRevocationListBuilder) -> bytes:
    return built.sign(KEYS["sha256"], HASHES["sha256"]).public_bytes(Encoding.DER)


ENTRY = x509.RevokedCertificateBuilder(9, UPDATE)
HOLD = x509.CRLReason(x509.ReasonFlags.certificate_hold)
NOTHING_SAID = x509.CRLReason(x509.ReasonFlags.unspecified)
PLAIN = builder(7, WEEK, [])


@pytest.mark.parametrize(
    ("built", "reason"),
    [
        (PLAIN.add_extension(x509.DeltaCRLIndicator(3), critical=True), "own form"),
        (PLAIN.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b""), True), "own form"),
        (PLAIN.add_revoked_certificate(ENTRY.add_extension(HOLD, critical=False).build()), "own form"),
        (PLAIN.add_revoked_certificate(ENTRY.add_extension(NOTHING_SAID, critical=False).build()), "own form"),
        (
            PLAIN.add_revoked_certificate(ENTRY.add_extension(x509.InvalidityDate(UPDATE), critical=False).build()),
            "own form",
        ),
        (PLAIN.add_revoked_certificate(ENTRY.build()).add_revoked_certificate(ENTRY.build()), "in DER"),
        (builder(7, replace(WEEK, not_after=UPDATE + 367 * DAY), []), "in DER"),
        (x509.CertificateRevocationListBuilder(ISSUER.certificate.subject, UPDATE, UPDATE + DAY), "in DER"),
    ],
)
def test_a_list_in_another_form_is_refused(built: x509.CertificateRevocationListBuilder, reason: str) -> None:
    with pytest.raises(InvalidCertificate, match=reason):
        verify_revocation_list(signed(built), authority=ISSUER.certificate)


def test_a_list_over_another_hash_is_read_and_one_over_sha_3_is_not() -> None:
    other = PLAIN.sign(KEYS["sha256"], hashes.SHA384()).public_bytes(Encoding.DER)
    assert verify_revocation_list(other, authority=ISSUER.certificate).number == 7
    weak = PLAIN.sign(KEYS["sha256"], hashes.SHA3_256()).public_bytes(Encoding.DER)
    with pytest.raises(InvalidCertificate, match="SHA-256, SHA-384 or SHA-512"):
        verify_revocation_list(weak, authority=ISSUER.certificate)
