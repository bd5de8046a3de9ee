"""Which roots made elsewhere an authority may be founded on; each rule is broken once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from ca.errors import InvalidCertificate, InvalidRequest
from ca.imported_roots import MIN_REMAINING, verify_importable_root, verify_usable_root
from tests.unit.ca.authority import NOW, VECTORS, KeySigner, new_root, p256
from tests.unit.ca.foreign_roots import BEGIN, CONSTRAINTS, END, EXTENSIONS, GOOD, KEY_ID, Foreign, usage

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    "root",
    [
        GOOD.made(),
        replace(GOOD, key=rsa.generate_private_key(public_exponent=65537, key_size=2048)).made(),
        replace(GOOD, key=ec.generate_private_key(ec.SECP521R1()), hash_name="sha512").made(),
        replace(GOOD, extensions=[*EXTENSIONS[1:], (x509.BasicConstraints(ca=True, path_length=1), True)]).made(),
        new_root(KeySigner(key=p256())),
    ],
)
def test_good_roots_are_accepted(root: x509.Certificate) -> None:
    assert verify_importable_root(root, now=NOW) is root
    assert verify_importable_root(root, now=NOW.astimezone(timezone(timedelta(hours=9)))) is root


def test_the_root_of_a_docker_engine_can_be_imported() -> None:
    root = x509.load_pem_x509_certificate((VECTORS / "docker-20.10.24" / "swarm-root-ca.crt").read_bytes())
    assert verify_importable_root(root, now=root.not_valid_before_utc) is root


@pytest.mark.parametrize(
    ("root", "reason"),
    [
        (replace(GOOD, name=()), "with a subject"),
        (replace(GOOD, signing_key=p256()), "signed itself"),
        (replace(GOOD, key=ec.generate_private_key(ec.SECP256K1())), "RSA, P-256, P-384 or P-521"),
        (replace(GOOD, key=ed25519.Ed25519PrivateKey.generate(), hash_name=None), "RSA, P-256, P-384 or P-521"),
        (replace(GOOD, hash_name="sha3-256"), "SHA-256, SHA-384 or SHA-512"),
        (replace(GOOD, extensions=EXTENSIONS[1:]), "CA:TRUE"),
        (replace(GOOD, extensions=[*EXTENSIONS[1:], (x509.BasicConstraints(False, None), True)]), "CA:TRUE"),
        (replace(GOOD, extensions=[*EXTENSIONS[1:], (CONSTRAINTS[0], False)]), "basicConstraints are critical"),
        (replace(GOOD, extensions=[*EXTENSIONS[1:], (x509.BasicConstraints(True, 0), True)]), "without pathLen 0"),
        (replace(GOOD, extensions=[CONSTRAINTS, KEY_ID]), "key usage and subject key identifier"),
        (replace(GOOD, extensions=EXTENSIONS[:2]), "key usage and subject key identifier"),
        (replace(GOOD, extensions=[CONSTRAINTS, (usage(cert_sign=False), True), KEY_ID]), "keyCertSign"),
        (replace(GOOD, extensions=[CONSTRAINTS, (usage(crl_sign=False), True), KEY_ID]), "cRLSign"),
        (
            replace(GOOD, extensions=[*EXTENSIONS, (x509.NameConstraints([x509.DNSName("example.org")], None), True)]),
            "no critical extension",
        ),
    ],
)
def test_other_roots_are_not(root: Foreign, reason: str) -> None:
    made = root.made()
    with pytest.raises(InvalidCertificate, match=reason):
        verify_usable_root(made)
    with pytest.raises(InvalidCertificate, match=reason):
        verify_importable_root(made, now=NOW)


def test_a_root_needs_a_year() -> None:
    root = GOOD.made()
    assert verify_importable_root(root, now=END - MIN_REMAINING) is root
    for late in (END - MIN_REMAINING + SECOND, END):
        with pytest.raises(InvalidCertificate, match="with a year left"):
            verify_importable_root(root, now=late)
    with pytest.raises(InvalidCertificate, match="got one that ended"):
        verify_importable_root(root, now=END + SECOND)
    assert verify_usable_root(root) is root


def test_a_root_has_begun() -> None:
    root = GOOD.made()
    assert verify_importable_root(root, now=BEGIN) is root
    with pytest.raises(InvalidCertificate, match="expected a root that has begun"):
        verify_importable_root(root, now=BEGIN - SECOND)


def test_the_time_needs_its_zone() -> None:
    with pytest.raises(InvalidRequest, match="zone"):
        verify_importable_root(GOOD.made(), now=NOW.replace(tzinfo=None))
