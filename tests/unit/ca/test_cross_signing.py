"""Cross-signed roots, judged by ``openssl`` and by the verifier of ``cryptography``.

Old and new root have the same subject, as SwarmKit's do; only the key identifiers tell them apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import verification
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from ca.bundle import write_bundle
from ca.cross_requests import CrossSignSubject
from ca.errors import InvalidCertificate, InvalidRequest
from ca.identity import NodeRole, hosts_of
from ca.issuing import Issuer, cross_sign, cross_sign_requested
from ca.profiles import CROSS_LIFETIME, Profile, Validity, cross_validity
from ca.templates import key_identifier
from tests.unit.ca.authority import (
    NOW,
    KeySigner,
    LaterLiar,
    PrivateKey,
    assert_extensions,
    issue_leaf,
    key_id_of,
    new_identity,
    new_issuer,
    new_serial,
    ninety_days,
    openssl,
    p256,
    spki_of,
)
from tests.unit.ca.foreign_roots import EXTENSIONS, GOOD

KEYS: dict[str, Callable[[], PrivateKey]] = {
    "p256": p256,
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "rsa": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
}
OLD, NEW = new_issuer(), new_issuer()
SECOND = timedelta(seconds=1)


def week(old: Issuer, new: Issuer) -> Validity:
    return cross_validity(NOW, issuer_not_after=old.not_after, root_not_after=new.not_after)


def crossed(old: Issuer = OLD, new: Issuer = NEW) -> x509.Certificate:
    made = cross_sign(old, new_root=new.certificate, serial=new_serial(), validity=week(old, new))
    return x509.load_der_x509_certificate(made)


def leaf_of(issuer: Issuer) -> x509.Certificate:
    identity = new_identity(NodeRole.MANAGER)
    issued = issue_leaf(
        issuer,
        profile=Profile.SWARM_MANAGER,
        subject=identity,
        spki_der=spki_of(p256()),
        hosts=hosts_of(identity),
        validity=ninety_days(issuer),
        serial=new_serial(),
    )
    return x509.load_der_x509_certificate(issued)


def golang_root() -> Issuer:
    """A root whose name is a PrintableString, as Go and so SwarmKit write it."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "swarm-ca", _ASN1Type.PrintableString)])
    key, root = p256(), NEW.certificate
    builder = x509.CertificateBuilder(name, name, key.public_key(), new_serial())
    builder = builder.not_valid_before(root.not_valid_before_utc).not_valid_after(root.not_valid_after_utc)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    for extension in root.extensions:
        if not isinstance(extension.value, x509.SubjectKeyIdentifier):
            builder = builder.add_extension(extension.value, critical=extension.critical)
    return Issuer(builder.sign(key, hashes.SHA256()), KeySigner(key=key))


def foreign_root() -> Issuer:
    """An imported root with another subject, another way of naming its key, and a pathLenConstraint."""
    extensions = [*EXTENSIONS[1:], (x509.BasicConstraints(ca=True, path_length=1), True)]
    return Issuer(replace(GOOD, key=(key := p256()), extensions=extensions).made(), KeySigner(key=key))


def test_a_cross_signed_root_says_what_the_new_root_says() -> None:
    cross, root = crossed(), NEW.certificate
    assert cross.subject.public_bytes() == root.subject.public_bytes() == cross.issuer.public_bytes()
    assert cross.public_key() == root.public_key()
    assert_extensions(
        cross,
        {
            "KeyUsage": (True, "key_cert_sign crl_sign"),
            "BasicConstraints": (True, "ca=True pathlen=None"),
            "SubjectKeyIdentifier": (False, key_id_of(root)),
            "AuthorityKeyIdentifier": (False, key_id_of(OLD.certificate)),
        },
    )
    cross.verify_directly_issued_by(OLD.certificate)
    assert cross.not_valid_after_utc - cross.not_valid_before_utc == CROSS_LIFETIME


def verify_by_openssl(folder: Path, trusted: list[Issuer], cross: x509.Certificate, leaf: x509.Certificate) -> None:
    files = {"roots": [issuer.certificate for issuer in trusted], "cross": [cross], "leaf": [leaf]}
    for name, certificates in files.items():
        (folder / name).write_bytes(write_bundle(certificates))
    moment = str(int(NOW.timestamp()))
    given: list[str | Path] = ["-CAfile", folder / "roots", "-untrusted", folder / "cross"]
    openssl("verify", "-x509_strict", "-attime", moment, "-purpose", "sslserver", *given, folder / "leaf")


@pytest.mark.parametrize("old_kind", KEYS)
@pytest.mark.parametrize("new_kind", KEYS)
def test_openssl_verifies_leaves_of_the_new_root_by_the_old_one(old_kind: str, new_kind: str, tmp_path: Path) -> None:
    old, new = new_issuer(KEYS[old_kind]()), new_issuer(KEYS[new_kind]())
    cross, leaf = crossed(old, new), leaf_of(new)
    for trusted in ([old], [new], [old, new], [new, old]):
        verify_by_openssl(tmp_path, trusted, cross, leaf)


@pytest.mark.parametrize("new", [NEW, golang_root(), foreign_root()], ids=["ours", "golang", "foreign"])
def test_every_verifier_accepts_other_ways_to_write_a_root(new: Issuer, tmp_path: Path) -> None:
    cross, leaf = crossed(OLD, new), leaf_of(new)
    assert cross.subject.public_bytes() == new.certificate.subject.public_bytes() == leaf.issuer.public_bytes()
    verify_by_openssl(tmp_path, [OLD], cross, leaf)
    for trusted in ([OLD], [OLD, new]):
        store = verification.Store([issuer.certificate for issuer in trusted])
        verifier = verification.PolicyBuilder().store(store).time(NOW)
        assert verifier.build_client_verifier().verify(leaf, [cross]).chain[0] == leaf
        chain = verifier.build_server_verifier(x509.DNSName("swarm-manager")).verify(leaf, [cross])
        assert trusted != [OLD] or chain == [leaf, cross, OLD.certificate]


def test_a_root_that_was_cross_signed_can_be_rotated_again(tmp_path: Path) -> None:
    newest = new_issuer()
    cross, leaf = crossed(NEW, newest), leaf_of(newest)
    verify_by_openssl(tmp_path, [NEW], cross, leaf)


def test_what_a_swarm_asks_for_is_what_cross_signing_gives(tmp_path: Path) -> None:
    new = golang_root()
    subject = CrossSignSubject(
        subject=new.certificate.subject.public_bytes(), spki_der=new.spki_der, key_id=key_identifier(new.spki_der)
    )
    serial = new_serial()
    asked = cross_sign_requested(OLD, requested=subject, serial=serial, validity=week(OLD, new))
    given = cross_sign(OLD, new_root=new.certificate, serial=serial, validity=week(OLD, new))
    cross = x509.load_der_x509_certificate(asked)
    assert cross.tbs_certificate_bytes == x509.load_der_x509_certificate(given).tbs_certificate_bytes
    verify_by_openssl(tmp_path, [OLD], cross, leaf_of(new))


def test_a_week_is_cut_by_either_root() -> None:
    soon = NOW.replace(microsecond=0) + timedelta(days=2)
    for issuer_end, root_end in ((soon, NEW.not_after), (OLD.not_after, soon)):
        assert cross_validity(NOW, issuer_not_after=issuer_end, root_not_after=root_end).not_after == soon


GOOD_WEEK = week(OLD, NEW)


@pytest.mark.parametrize(
    ("validity", "reason"),
    [
        (replace(GOOD_WEEK, not_after=GOOD_WEEK.not_after + SECOND), "at most 7 days"),
        (Validity(not_before=OLD.not_after, not_after=OLD.not_after + SECOND), "ends with the (issuer|new root)'s"),
    ],
)
def test_a_cross_signed_root_lives_a_week_at_most(validity: Validity, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        cross_sign(OLD, new_root=NEW.certificate, serial=new_serial(), validity=validity)
    subject = CrossSignSubject(subject=NEW.name, spki_der=NEW.spki_der, key_id=NEW.key_id)
    with pytest.raises(InvalidRequest, match=reason):
        cross_sign_requested(OLD, requested=subject, serial=new_serial(), validity=validity)


def test_it_ends_with_the_new_root() -> None:
    ending = replace(GOOD, key=p256(), end=GOOD_WEEK.not_after - SECOND).made()
    with pytest.raises(InvalidRequest, match="ends with the new root's"):
        cross_sign(OLD, new_root=ending, serial=new_serial(), validity=GOOD_WEEK)


def test_a_new_root_has_a_key_of_its_own() -> None:
    with pytest.raises(InvalidRequest, match="a key of its own"):
        cross_sign(OLD, new_root=OLD.certificate, serial=new_serial(), validity=GOOD_WEEK)


def test_only_roots_are_cross_signed() -> None:
    for certificate, reason in (
        (leaf_of(NEW), "CA:TRUE"),
        (crossed(NEW, new_issuer()), "signed itself"),
        (replace(GOOD, extensions=[*EXTENSIONS[1:], (x509.BasicConstraints(True, 0), True)]).made(), "pathLen 0"),
    ):
        with pytest.raises(InvalidCertificate, match=reason):
            cross_sign(OLD, new_root=certificate, serial=new_serial(), validity=GOOD_WEEK)


def test_a_serial_is_checked() -> None:
    with pytest.raises(InvalidRequest, match="positive serial"):
        cross_sign(OLD, new_root=NEW.certificate, serial=1, validity=GOOD_WEEK)


def test_a_wrong_signature_does_not_leave() -> None:
    key = p256()
    root = Issuer(new_issuer(key).certificate, LaterLiar(key=key))
    with pytest.raises(InvalidCertificate, match="signature is not valid"):
        cross_sign(root, new_root=NEW.certificate, serial=new_serial(), validity=GOOD_WEEK)


def test_bytes_are_those_of_a_certificate() -> None:
    made = cross_sign(OLD, new_root=NEW.certificate, serial=new_serial(), validity=GOOD_WEEK)
    assert x509.load_der_x509_certificate(made).public_bytes(Encoding.DER) == made
