"""A root made elsewhere: which pairs of certificate and key are taken, and that the key does not show itself."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from ca.errors import InvalidCertificate
from swarmsec.errors import UsageProblem
from swarmsec.wiring.ca.importing import parse_imported_root
from tests.unit.swarmsec.wiring.ca.foreignroots import NOW, Key, build_root, key_pem

P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
P521 = ec.generate_private_key(ec.SECP521R1())
RSA = rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize(("key", "kind"), [(P256, "p256"), (P384, "p384"), (RSA, "rsa")])
def test_the_kinds_that_sign_here_are_taken(key: Key, kind: str, form: PrivateFormat) -> None:
    root = parse_imported_root(build_root(key), key_pem(key, form), now=NOW)
    assert root.key_type == kind
    assert root.key.reveal() == key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert repr(root.key.reveal()) not in repr(root)


@pytest.mark.parametrize(
    "pem",
    [
        pytest.param(key_pem(P521), id="P-521"),
        pytest.param(
            ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            id="Ed25519",
        ),
        pytest.param(key_pem(ec.generate_private_key(ec.SECP256K1())), id="another curve"),
        pytest.param(key_pem(P256, encryption=BestAvailableEncryption(b"secret")), id="encrypted"),
        pytest.param(key_pem(P256)[:-60], id="cut"),
        pytest.param(b"", id="nothing"),
        pytest.param(build_root(P256), id="a certificate"),
    ],
)
def test_other_keys_are_refused(pem: bytes) -> None:
    with pytest.raises(UsageProblem, match=r"expected (a private|an EC) key"):
        parse_imported_root(build_root(P256), pem, now=NOW)


def test_a_short_rsa_key_is_refused_with_its_certificate() -> None:
    short = rsa.generate_private_key(65537, 1024)
    with pytest.raises(InvalidCertificate, match="2048"):
        parse_imported_root(build_root(short), key_pem(short), now=NOW)
    with pytest.raises(UsageProblem, match="2048"):
        parse_imported_root(build_root(P256), key_pem(short), now=NOW)


@pytest.mark.parametrize("other", [ec.generate_private_key(ec.SECP256R1()), P384, RSA])
def test_the_key_of_another_root_is_refused(other: Key) -> None:
    with pytest.raises(InvalidCertificate, match="another key"):
        parse_imported_root(build_root(P256), key_pem(other), now=NOW)


@pytest.mark.parametrize(
    ("pem", "message"),
    [
        (b"junk", "expected PEM certificates"),
        (key_pem(P256), "expected PEM certificates"),
        (build_root(P256, is_ca=False), "CA:TRUE"),
        (build_root(P256, crl_sign=False), "cRLSign"),
        (build_root(P256, days=100), "a year left"),
        (build_root(P256, days=-1), "a year left"),
    ],
)
def test_a_certificate_that_no_authority_may_be_founded_on_is_refused(pem: bytes, message: str) -> None:
    with pytest.raises(InvalidCertificate, match=message):
        parse_imported_root(pem, key_pem(P256), now=NOW)


def test_several_certificates_are_refused() -> None:
    with pytest.raises(UsageProblem, match="one root certificate, got 2"):
        parse_imported_root(build_root(P256) + build_root(P384), key_pem(P256), now=NOW)
