"""Keys of signers: which count, and that one key under two ids is one key."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.signer import SSlibKey

from notary.errors import ChangeRefused, InvalidKey
from notary.trustkeys import key_of, key_of_spki, material_of, parse_key, parse_public_key, verify_distinct

GOOD: dict[str, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey] = {
    "p256": ec.generate_private_key(ec.SECP256R1()).public_key(),
    "p384": ec.generate_private_key(ec.SECP384R1()).public_key(),
    "ed25519": ed25519.Ed25519PrivateKey.generate().public_key(),
    "rsa": rsa.generate_private_key(65537, 2048).public_key(),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_key_reads_back_from_each_of_its_forms(name: str) -> None:
    public = GOOD[name]
    key = key_of(public)
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert parse_public_key(pem).keyid == key_of_spki(der).keyid == key.keyid
    assert parse_key(key.keyid, key.to_dict()) == key
    assert material_of(key) == der


@pytest.mark.parametrize(
    "public",
    [
        ec.generate_private_key(ec.SECP521R1()).public_key(),
        ec.generate_private_key(ec.SECP256K1()).public_key(),
        rsa.generate_private_key(65537, 1024).public_key(),
        dsa.generate_private_key(2048).public_key(),
        x25519.X25519PrivateKey.generate().public_key(),
    ],
    ids=["p521", "k256", "rsa-1024", "dsa", "x25519"],
)
def test_a_key_of_another_kind_does_not_count(public: object) -> None:
    with pytest.raises(InvalidKey):
        key_of(public)


@pytest.mark.parametrize(
    "data",
    [b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", b"x" * 10_000],
)
def test_what_is_no_key_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidKey):
        parse_public_key(data)
    with pytest.raises(InvalidKey):
        key_of_spki(data)


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": {}},
        {"keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": {"public": "no key"}},
        {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": "zz"}},
        {"keytype": "made-up", "scheme": "ed25519", "keyval": {"public": "00"}},
        {"keytype": "ecdsa", "scheme": 7, "keyval": {"public": "00"}},
    ],
)
def test_attack_21_an_unknown_kind_of_key_is_refused(members: dict[str, object]) -> None:
    with pytest.raises(InvalidKey):
        parse_key("id", members)


def test_attack_20_one_key_under_two_ids_is_one_key() -> None:
    first, other = key_of(GOOD["p256"]), key_of(GOOD["p384"])
    pem = GOOD["p256"].public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    twin = SSlibKey("other-id", "ecdsa", "ecdsa-sha2-nistp256", {"public": f"\n{pem}\n\n"})
    verify_distinct([first, other])
    with pytest.raises(ChangeRefused, match="one key twice"):
        verify_distinct([first, other, twin])
