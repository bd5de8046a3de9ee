"""Root bundles."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from ca import der, pem
from ca.bundle import MAX_BUNDLE_BYTES, parse_bundle, parse_certificate, write_bundle
from ca.errors import CaError, InvalidCertificate
from tests.unit.ca.authority import NOW, VECTORS, KeySigner, new_root, p256

DOCKER_ROOT = (VECTORS / "docker-20.10.24" / "swarm-root-ca.crt").read_bytes()
DOCKER_NODE = (VECTORS / "docker-20.10.24" / "swarm-node.crt").read_bytes()
DER = x509.load_pem_x509_certificate(DOCKER_ROOT).public_bytes(Encoding.DER)
KEY = p256()
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")])
CA = x509.BasicConstraints(ca=True, path_length=None)


def builder(
    constraints: x509.BasicConstraints | None = CA, key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey | None = None
) -> x509.CertificateBuilder:
    made = x509.CertificateBuilder().subject_name(NAME).issuer_name(NAME).serial_number(1)
    made = made.public_key(key or KEY.public_key()).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
    return made.add_extension(constraints, critical=True) if constraints else made


def signed(made: x509.CertificateBuilder) -> bytes:
    return made.sign(KEY, hashes.SHA256()).public_bytes(Encoding.PEM)


def usage(*, key_cert_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(True, False, False, False, False, key_cert_sign, False, False, False)


GOOD = signed(builder())


def test_the_root_of_a_docker_engine_is_written_as_it_was() -> None:
    assert write_bundle(parse_bundle(DOCKER_ROOT)) == DOCKER_ROOT


def test_several_roots_keep_their_order() -> None:
    roots = (new_root(KeySigner(key=p256())), new_root(KeySigner(key=KEY)))
    text = write_bundle(roots)
    assert parse_bundle(text) == roots
    assert text == b"".join(root.public_bytes(Encoding.PEM) for root in roots)
    assert text != write_bundle(tuple(reversed(roots)))


def test_the_signed_algorithm_must_be_the_one_outside() -> None:
    tbs, _, signature = der.children(DER)
    other = der.sequence(der.oid("1.2.840.10045.4.3.3"))
    with pytest.raises(InvalidCertificate, match="certificate in DER"):
        parse_certificate(der.sequence(tbs, other, signature))


def test_serials_must_be_positive() -> None:
    tbs, algorithm, signature = der.children(DER)
    version, _, *rest = der.children(tbs)
    for serial in (der.integer(0), der.tlv(2, b"\xff")):
        with pytest.raises(InvalidCertificate, match="certificate in DER"):
            parse_certificate(der.sequence(der.sequence(version, serial, *rest), algorithm, signature))


def test_white_space_is_accepted_and_not_written() -> None:
    assert write_bundle(parse_bundle(b"\n" + GOOD.replace(b"\n", b"\r\n") + b"\n\n")) == GOOD


def test_rsa_roots() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    root = builder(key=key.public_key()).sign(key, hashes.SHA384())
    assert parse_bundle(root.public_bytes(Encoding.PEM)) == (root,)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    other = builder(key=key.public_key()).sign(key, hashes.SHA256(), rsa_padding=pss)
    with pytest.raises(InvalidCertificate, match=r"got algorithm 1\.2\.840\.113549\.1\.1\.10"):
        parse_bundle(other.public_bytes(Encoding.PEM))


def test_roots_without_key_usage_or_with_keycertsign() -> None:
    assert len(parse_bundle(signed(builder().add_extension(usage(key_cert_sign=True), critical=True)))) == 1


def _ed25519_root() -> bytes:
    key = ed25519.Ed25519PrivateKey.generate()
    made = x509.CertificateBuilder().subject_name(NAME).issuer_name(NAME).serial_number(1).public_key(key.public_key())
    made = made.not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1)).add_extension(CA, critical=True)
    return made.sign(key, None).public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", "PEM certificates and nothing else", id="nothing"),
        pytest.param(b"# mine\n" + GOOD, "nothing else", id="comment"),
        pytest.param(GOOD + b"x", "nothing else", id="text after"),
        pytest.param(GOOD.replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE"), "nothing else", id="another label"),
        pytest.param(GOOD + b"\n" * MAX_BUNDLE_BYTES, "at most 65536 bytes", id="too long"),
        pytest.param(GOOD * 17, "at most 16", id="too many"),
        pytest.param(GOOD * 2, "every certificate once", id="twice"),
        pytest.param(DOCKER_NODE, "CA:TRUE", id="leaf"),
        pytest.param(signed(builder(None)), "CA:TRUE", id="no constraints"),
        pytest.param(signed(builder(x509.BasicConstraints(ca=False, path_length=None))), "CA:TRUE", id="CA:FALSE"),
        pytest.param(
            signed(builder().add_extension(usage(key_cert_sign=False), critical=True)), "keyCertSign", id="key usage"
        ),
        pytest.param(
            signed(builder().add_extension(x509.NameConstraints([x509.DNSName("a")], None), critical=True)),
            "got 2.5.29.30",
            id="critical extension",
        ),
        pytest.param(
            signed(builder(key=p256().public_key())),
            "signed itself",
            id="signed by another key",
        ),
        pytest.param(_ed25519_root(), "expected an RSA, P-256", id="Ed25519"),
    ],
)
def test_other_bundles_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidCertificate, match=reason):
        parse_bundle(data)


def test_a_root_with_another_issuer_is_refused() -> None:
    other = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "other")])
    made = x509.CertificateBuilder().subject_name(NAME).issuer_name(other).serial_number(1)
    made = made.public_key(KEY.public_key()).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
    with pytest.raises(InvalidCertificate, match="signed itself"):
        parse_bundle(signed(made.add_extension(CA, critical=True)))


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda data: GOOD[:60] + data))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(CaError):
        parse_bundle(data)


@given(st.integers(0, len(DER) - 1), st.integers(1, 255))
def test_a_changed_byte_is_parsed_or_refused(position: int, difference: int) -> None:
    changed = bytearray(DER)
    changed[position] ^= difference
    try:
        parse_certificate(bytes(changed))
    except CaError:
        return


@given(st.integers(0, len(DER) - 1), st.integers(1, 255))
def test_a_root_with_a_changed_byte_is_refused(position: int, difference: int) -> None:
    changed = bytearray(DER)
    changed[position] ^= difference
    with pytest.raises(CaError):
        parse_bundle(_pem(bytes(changed)))


def _pem(certificate_der: bytes) -> bytes:
    return pem.write_block(certificate_der, "CERTIFICATE")


def test_a_signature_of_which_bits_do_not_count_is_another_form_of_the_same_root() -> None:
    made = (x509.load_pem_x509_certificate(signed(builder())) for _ in range(200))
    certificate = next(found for found in made if not found.signature[-1] & 1)
    data = bytearray(certificate.public_bytes(Encoding.DER))
    place = len(data) - len(certificate.signature) - 1
    assert data[place] == 0
    data[place] = 1

    with pytest.raises(CaError):
        parse_bundle(_pem(bytes(data)))
