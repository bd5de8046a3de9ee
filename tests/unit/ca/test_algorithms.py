"""Accepted keys and signature algorithms."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa, x25519
from hypothesis import given
from hypothesis import strategies as st

from ca import algorithms, der
from ca.algorithms import KeyType, SignatureAlgorithm
from ca.errors import CaError, InvalidRequest
from tests.unit.ca.authority import HASHES, KeySigner, PrivateKey, p256, spki_of

RSA_2048 = rsa.generate_private_key(public_exponent=65537, key_size=2048)
KEYS: dict[KeyType, PrivateKey] = {
    KeyType.P256: p256(),
    KeyType.P384: ec.generate_private_key(ec.SECP384R1()),
    KeyType.P521: ec.generate_private_key(ec.SECP521R1()),
    KeyType.RSA: RSA_2048,
}


@pytest.mark.parametrize("key_type", KeyType)
def test_accepted_keys_read_back(key_type: KeyType) -> None:
    spki_der = spki_of(KEYS[key_type])
    key = algorithms.parse_public_key(spki_der, refusal=InvalidRequest)
    assert algorithms.accept_key(key, refusal=InvalidRequest) == (key, key_type)
    assert algorithms.spki_der_of(key) == spki_der


@pytest.mark.parametrize(
    "key",
    [
        ed25519.Ed25519PrivateKey.generate().public_key(),
        x25519.X25519PrivateKey.generate().public_key(),
        ec.generate_private_key(ec.SECP256K1()).public_key(),
        ec.generate_private_key(ec.BrainpoolP256R1()).public_key(),
        dsa.generate_private_key(2048).public_key(),
        rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key(),
        rsa.generate_private_key(public_exponent=3, key_size=2048).public_key(),
        rsa.RSAPublicNumbers(e=2**31 + 1, n=RSA_2048.public_key().public_numbers().n).public_key(),
        rsa.RSAPublicNumbers(e=65537, n=2**8192 + 1).public_key(),
        None,
    ],
)
def test_other_keys_are_refused(key: object) -> None:
    with pytest.raises(InvalidRequest, match="expected an"):
        algorithms.accept_key(key, refusal=InvalidRequest)


def test_a_key_in_another_form_is_refused() -> None:
    point = (
        KEYS[KeyType.P256]
        .public_key()
        .public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    )
    algorithm = der.sequence(der.oid("1.2.840.10045.2.1"), der.oid("1.2.840.10045.3.1.7"))
    with pytest.raises(InvalidRequest, match="canonical"):
        algorithms.parse_public_key(der.sequence(algorithm, der.bit_string(point)), refusal=InvalidRequest)


@pytest.mark.parametrize("data", [b"", b"\x30\x00", spki_of(RSA_2048) + b"\x00"])
def test_what_is_no_key_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest, match="public key in DER"):
        algorithms.parse_public_key(data, refusal=InvalidRequest)


@given(st.binary(max_size=120))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(CaError):
        algorithms.parse_public_key(data, refusal=CaError)


@pytest.mark.parametrize("hash_name", HASHES)
@pytest.mark.parametrize("key_type", KeyType)
def test_signatures_verify_and_others_do_not(key_type: KeyType, hash_name: str) -> None:
    signer = KeySigner(key=KEYS[key_type], signature_hash=hash_name)
    key = algorithms.parse_public_key(signer.public_key_der, refusal=InvalidRequest)
    algorithm = algorithms.algorithm_for(key, hash_name, refusal=InvalidRequest)
    assert algorithms.algorithm_of(algorithm.oid, key, refusal=InvalidRequest) is algorithm
    signature = signer.sign(b"message")
    algorithms.verify_signature(key, algorithm, signature, b"message", refusal=InvalidRequest)
    for wrong, message in ((signature, b"other"), (signature[:-1], b"message"), (b"", b"message")):
        with pytest.raises(InvalidRequest, match="signature is not valid"):
            algorithms.verify_signature(key, algorithm, wrong, message, refusal=InvalidRequest)


@pytest.mark.parametrize("hash_name", ["sha1", "md5", "sha224", "SHA256", ""])
def test_other_hashes_are_refused(hash_name: str) -> None:
    with pytest.raises(InvalidRequest, match="expected sha256"):
        algorithms.algorithm_for(RSA_2048.public_key(), hash_name, refusal=InvalidRequest)


@pytest.mark.parametrize(
    "oid", ["1.2.840.113549.1.1.5", "1.2.840.10045.4.1", "1.2.840.113549.1.1.10", SignatureAlgorithm.ECDSA_SHA256.oid]
)
def test_other_algorithms_are_refused_and_so_are_those_of_another_key(oid: str) -> None:
    with pytest.raises(InvalidRequest, match=f"got algorithm {oid}"):
        algorithms.algorithm_of(oid, RSA_2048.public_key(), refusal=InvalidRequest)
