"""Signing requests."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from ca import der
from ca.algorithms import KeyType
from ca.errors import CaError, InvalidRequest
from ca.requests import MAX_REQUEST_BYTES, parse_root_request, parse_signing_request, parse_signing_requests
from tests.unit.ca.authority import PrivateKey, p256, spki_of

KEY = p256()
SHORT_KEY = rsa.generate_private_key(public_exponent=65537, key_size=1024)
PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER


def builder(subject: str | None = None) -> x509.CertificateSigningRequestBuilder:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, subject)] if subject else []
    return x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes))


REQUEST = builder().sign(KEY, hashes.SHA256())
GOOD = REQUEST.public_bytes(PEM)
GOOD_DER = REQUEST.public_bytes(DER)


@pytest.mark.parametrize("data", [GOOD, GOOD_DER, b"\n" + GOOD.replace(b"\n", b"\r\n") + b"\n"])
def test_a_request_as_swarmkit_makes_it(data: bytes) -> None:
    request = parse_signing_request(data)
    assert request.spki_der == spki_of(KEY)
    assert request.spki_sha256 == hashlib.sha256(spki_of(KEY)).hexdigest()
    assert request.key_type is KeyType.P256


@pytest.mark.parametrize(
    ("key", "key_type", "chosen"),
    [
        (ec.generate_private_key(ec.SECP384R1()), KeyType.P384, hashes.SHA384()),
        (ec.generate_private_key(ec.SECP521R1()), KeyType.P521, hashes.SHA512()),
        (rsa.generate_private_key(public_exponent=65537, key_size=2048), KeyType.RSA, hashes.SHA256()),
    ],
)
def test_other_accepted_keys(key: PrivateKey, key_type: KeyType, chosen: hashes.SHA256) -> None:
    assert parse_signing_request(builder().sign(key, chosen).public_bytes(DER)).key_type is key_type


def test_what_a_request_asks_for_is_ignored() -> None:
    asking = builder("swarm-manager").add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    asking = asking.add_attribute(x509.oid.AttributeOID.CHALLENGE_PASSWORD, b"password")
    assert parse_signing_request(asking.sign(KEY, hashes.SHA256()).public_bytes(PEM)) == parse_signing_request(GOOD)


def test_a_request_for_a_root_keeps_its_subject_byte_for_byte() -> None:
    request = builder("swarm-ca").sign(KEY, hashes.SHA256())
    read = parse_root_request(request.public_bytes(PEM))
    assert read.key == parse_signing_request(GOOD)
    assert read.subject_der == request.subject.public_bytes()
    with pytest.raises(InvalidRequest):
        parse_root_request(GOOD_DER[:-1])


def test_a_subject_that_cryptography_warns_of_is_no_traceback() -> None:
    info, algorithm, _ = der.children(GOOD_DER)
    version, _, spki, attributes = der.children(info)
    empty_name = der.sequence(der.set_of_one(der.sequence(der.oid("2.5.4.3"), der.utf8(""))))
    changed = der.sequence(version, empty_name, spki, attributes)
    signature = der.bit_string(KEY.sign(changed, ec.ECDSA(hashes.SHA256())))
    with pytest.raises(InvalidRequest, match="one certificate signing request"):
        parse_signing_request(der.sequence(changed, algorithm, signature))


def test_a_request_of_openssl(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    subprocess.run(["openssl", "ecparam", "-genkey", "-name", "secp384r1", "-noout", "-out", key], check=True)
    made = subprocess.run(
        ["openssl", "req", "-new", "-key", key, "-subj", "/O=x", "-sha256"], check=True, capture_output=True
    )
    assert parse_signing_request(made.stdout).key_type is KeyType.P384


def _with_hash(chosen: hashes.HashAlgorithm) -> bytes:
    """A request signed over a hash that ``cryptography`` no longer offers: the algorithm is swapped in the DER."""
    info, _, _ = der.children(GOOD_DER)
    oid = "1.2.840.10045.4.1" if isinstance(chosen, hashes.SHA1) else "1.2.840.10045.4.3.1"
    signature = KEY.sign(info, ec.ECDSA(chosen))
    return der.sequence(info, der.sequence(der.oid(oid)), der.bit_string(signature))


def _with_attribute(content: bytes) -> bytes:
    """A request whose signature is good but whose attributes are not."""
    info, algorithm, _ = der.children(GOOD_DER)
    version, subject, spki, _ = der.children(info)
    changed = der.sequence(version, subject, spki, der.explicit(0, content))
    return der.sequence(changed, algorithm, der.bit_string(KEY.sign(changed, ec.ECDSA(hashes.SHA256()))))


def _extension_request(extensions: bytes) -> bytes:
    return der.sequence(der.oid("1.2.840.113549.1.9.14"), der.set_of_one(extensions))


TWICE = der.sequence(*[der.sequence(der.oid("2.5.29.19"), der.octet_string(der.sequence()))] * 2)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", "one certificate signing request", id="nothing"),
        pytest.param(GOOD * 2, "got 2", id="two"),
        pytest.param(b"x\n" + GOOD, "one certificate signing request", id="text before"),
        pytest.param(GOOD + b"x", "one certificate signing request", id="text after"),
        pytest.param(GOOD_DER + b"\x00", "one certificate signing request", id="byte after"),
        pytest.param(GOOD.replace(b"CERTIFICATE REQUEST", b"CERTIFICATE"), "one certificate", id="another label"),
        pytest.param(b"\x00" * (MAX_REQUEST_BYTES + 1), "at most 8192 bytes, got 8193", id="too long"),
        pytest.param(GOOD_DER[:-4] + bytes(4), "signature is not valid", id="no possession"),
        pytest.param(_with_hash(hashes.SHA1()), "algorithm 1.2.840.10045.4.1", id="SHA-1"),
        pytest.param(_with_hash(hashes.SHA224()), "algorithm 1.2.840.10045.4.3.1", id="SHA-224"),
        pytest.param(
            builder().sign(ec.generate_private_key(ec.SECP256K1()), hashes.SHA256()).public_bytes(DER),
            "expected an RSA, P-256",
            id="another curve",
        ),
        pytest.param(
            builder().sign(ed25519.Ed25519PrivateKey.generate(), None).public_bytes(DER),
            "expected an RSA",
            id="Ed25519",
        ),
        pytest.param(
            builder()
            .sign(rsa.generate_private_key(public_exponent=65537, key_size=1024), hashes.SHA256())
            .public_bytes(DER),
            "2048 to 8192 bits, got 1024",
            id="short RSA key",
        ),
        pytest.param(
            builder()
            .sign(
                rsa.generate_private_key(public_exponent=65537, key_size=2048),
                hashes.SHA256(),
                rsa_padding=padding.PSS(padding.MGF1(hashes.SHA256()), 32),
            )
            .public_bytes(DER),
            "algorithm 1.2.840.113549.1.1.10",
            id="RSA-PSS",
        ),
        pytest.param(_with_attribute(b"\x04\x00"), "one certificate signing request", id="bad attribute"),
        pytest.param(_with_attribute(_extension_request(b"\x04\x00")), "one certificate", id="bad extensions"),
        pytest.param(_with_attribute(_extension_request(TWICE)), "one certificate", id="extension twice"),
    ],
)
def test_other_requests_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        parse_signing_request(data)


def test_a_request_signed_with_another_key_is_refused() -> None:
    info, algorithm, _ = der.children(GOOD_DER)
    stolen = der.sequence(info, algorithm, der.bit_string(p256().sign(info, ec.ECDSA(hashes.SHA256()))))
    with pytest.raises(InvalidRequest, match="signature is not valid"):
        parse_signing_request(stolen)


@given(st.binary(max_size=300) | st.binary(max_size=100).map(lambda data: GOOD[:40] + data))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(CaError):
        parse_signing_request(data)


@given(st.integers(0, len(GOOD_DER) - 1), st.integers(1, 255))
def test_a_changed_byte_is_refused(position: int, difference: int) -> None:
    changed = bytearray(GOOD_DER)
    changed[position] ^= difference
    with pytest.raises(CaError):
        parse_signing_request(bytes(changed))


def test_a_signature_with_unused_bits_is_refused() -> None:
    info, algorithm, _ = der.children(GOOD_DER)
    # The last bit may only be left out where it is zero, which half of all signatures have.
    signature = next(made for made in iter(lambda: KEY.sign(info, ec.ECDSA(hashes.SHA256())), b"") if not made[-1] & 1)
    unused = bytearray(der.bit_string(signature))
    unused[-len(signature) - 1] = 1

    assert parse_signing_request(der.sequence(info, algorithm, der.bit_string(signature))) == parse_signing_request(
        GOOD
    )
    with pytest.raises(InvalidRequest, match="whole octets"):
        parse_signing_request(der.sequence(info, algorithm, bytes(unused)))


STOLEN = der.sequence(*der.children(GOOD_DER)[:2], der.bit_string(p256().sign(GOOD_DER, ec.ECDSA(hashes.SHA256()))))
OTHERS = [
    GOOD,
    GOOD_DER,
    builder("n1").sign(p256(), hashes.SHA256()).public_bytes(PEM),
    builder().sign(ec.generate_private_key(ec.SECP384R1()), hashes.SHA384()).public_bytes(DER),
    STOLEN,
    GOOD_DER.replace(spki_of(KEY)[27:], bytes(64)),
    GOOD + GOOD,
    GOOD_DER[:-1],
    b"",
    b"-----BEGIN",
    bytes(MAX_REQUEST_BYTES + 1),
]


@given(st.lists(st.sampled_from(OTHERS), max_size=12))
def test_a_group_is_told_what_each_would_be_told_alone(datas: list[bytes]) -> None:
    for data, found in zip(datas, parse_signing_requests(datas), strict=True):
        if isinstance(found, InvalidRequest):
            with pytest.raises(InvalidRequest) as alone:
                parse_signing_request(data)
            assert str(found) == str(alone.value)
        else:
            assert found == parse_signing_request(data) == parse_root_request(data).key


def test_what_is_wrong_with_one_says_nothing_of_the_others() -> None:
    before, wrong, after = parse_signing_requests([GOOD, STOLEN, GOOD_DER])
    assert before == after == parse_signing_request(GOOD)
    assert isinstance(wrong, InvalidRequest)
