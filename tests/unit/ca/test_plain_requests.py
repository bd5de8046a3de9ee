"""The quick reader of nodes' requests against ``cryptography``: what it accepts, the general one reads the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from ca import der, pem, requests
from ca.errors import CaError, InvalidRequest
from ca.plain_requests import PlainRequest, split_plain_request
from ca.requests import SigningRequest, parse_root_request, parse_signing_request
from tests.unit.ca.authority import p256, spki_of

CAPTURED = Path(__file__).parents[2] / "peers" / "captured"
KEY = p256()
EMPTY = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
GOOD = EMPTY.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
INFO, ALGORITHM, SIGNATURE = der.children(GOOD)
VERSION, SUBJECT, SPKI, ATTRIBUTES = der.children(INFO)
BITS = der.content(SIGNATURE)[1:]


def split(request_der: bytes) -> PlainRequest:
    found = split_plain_request(request_der)
    assert found is not None
    return found


def verdict(request_der: bytes) -> SigningRequest | str:
    """What becomes of a request, whichever way it is read."""
    try:
        return parse_signing_request(request_der)
    except CaError as error:
        return type(error).__name__


def general_verdict(request_der: bytes) -> SigningRequest | str:
    """What becomes of it where ``cryptography`` reads it all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests, "split_plain_request", lambda _: None)
        return verdict(request_der)


def signed(info: bytes, algorithm: bytes = ALGORITHM) -> bytes:
    return der.sequence(info, algorithm, der.bit_string(KEY.sign(info, ec.ECDSA(hashes.SHA256()))))


@pytest.mark.parametrize("role", ["worker", "manager"])
def test_requests_of_docker_are_plain(role: str) -> None:
    sent = json.loads((CAPTURED / f"docker-20.10-{role}.json").read_bytes())["certificate_request"]
    (request_der,) = pem.parse_blocks(sent.encode(), "CERTIFICATE REQUEST")
    request = x509.load_der_x509_csr(request_der)
    found = split(request_der)
    assert found.info_der == request.tbs_certrequest_bytes
    assert found.signature == request.signature
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    assert found.spki_der == request.public_key().public_bytes(serialization.Encoding.DER, form)


@settings(max_examples=50)
@given(st.builds(p256))
def test_both_ways_read_the_same(key: ec.EllipticCurvePrivateKey) -> None:
    request_der = EMPTY.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    assert split(request_der).spki_der == spki_of(key)
    assert verdict(request_der) == general_verdict(request_der)
    assert isinstance(verdict(request_der), SigningRequest)
    assert parse_root_request(request_der).subject_der == der.sequence()


# What is written where a request is changed; the length of a signature is as likely wrong as any other octet.
EDITS = st.lists(
    st.tuples(st.integers(0, len(GOOD) + 2), st.integers(0, 3), st.binary(max_size=3)), min_size=1, max_size=3
)


@settings(max_examples=1000)
@given(EDITS)
def test_what_is_changed_is_read_no_other_way(edits: list[tuple[int, int, bytes]]) -> None:
    changed = bytearray(GOOD)
    for position, removed, put in edits:
        changed[position : position + removed] = put
    agree(bytes(changed))


@settings(max_examples=300)
@given(edits=EDITS)
def test_what_is_changed_and_signed_again_is_read_no_other_way(edits: list[tuple[int, int, bytes]]) -> None:
    changed = bytearray(INFO)
    for position, removed, put in edits:
        changed[position : position + removed] = put
    agree(signed(bytes(changed)))


def agree(request_der: bytes) -> None:
    found = split_plain_request(request_der)
    assert verdict(request_der) == general_verdict(request_der)
    if found is not None:
        # Whatever the key and the signature are worth, the structure is the one that cryptography sees.
        request = x509.load_der_x509_csr(request_der)
        assert (request.tbs_certrequest_bytes, request.signature) == (found.info_der, found.signature)
        assert request.signature_algorithm_oid.dotted_string == "1.2.840.10045.4.3.2"
        assert not request.subject.rdns
        assert not list(request.attributes)


SHORT = b"\x01" * 12
PADDED = der.tlv(der.BIT_STRING, b"\x01" + BITS[:-1] + b"\x00")


@pytest.mark.parametrize(
    "request_der",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(GOOD + b"\x00", id="byte after"),
        pytest.param(GOOD[:-1], id="cut off"),
        pytest.param(b"\x30\x82\x00" + GOOD[2:], id="long length"),
        pytest.param(b"\x30\x81\x7f" + der.content(der.sequence(INFO, ALGORITHM, der.bit_string(SHORT))), id="short"),
        pytest.param(der.sequence(INFO, ALGORITHM, PADDED), id="unused bits"),
        pytest.param(der.sequence(INFO, ALGORITHM, der.tlv(0x23, b"\x00" + BITS)), id="constructed"),
        pytest.param(der.sequence(INFO, der.sequence(der.oid("1.2.840.10045.4.3.3")), SIGNATURE), id="SHA-384"),
        pytest.param(der.sequence(INFO, der.sequence(der.children(ALGORITHM)[0], der.NULL), SIGNATURE), id="null"),
        pytest.param(signed(der.sequence(der.integer(1), SUBJECT, SPKI, ATTRIBUTES)), id="version"),
        pytest.param(signed(der.sequence(VERSION, SUBJECT, SPKI)), id="no attributes"),
        pytest.param(signed(der.sequence(VERSION, SUBJECT, SPKI[:26] + b"\x02" + SPKI[27:], ATTRIBUTES)), id="point"),
        pytest.param(der.sequence(INFO, ALGORITHM, SIGNATURE, der.NULL), id="another element"),
    ],
)
def test_other_forms_are_left_to_the_general_reader(request_der: bytes) -> None:
    assert split_plain_request(request_der) is None


@pytest.mark.parametrize(
    "request_der",
    [
        pytest.param(signed(INFO[:-4] + b"\x00\x00" + ATTRIBUTES), id="no point of the curve"),
        pytest.param(der.sequence(INFO, ALGORITHM, der.bit_string(bytes(len(BITS)))), id="no signature"),
        pytest.param(
            der.sequence(INFO, ALGORITHM, der.bit_string(p256().sign(INFO, ec.ECDSA(hashes.SHA256())))), id="stolen key"
        ),
    ],
)
def test_plain_requests_prove_possession(request_der: bytes) -> None:
    assert split_plain_request(request_der) is not None
    with pytest.raises(InvalidRequest):
        parse_signing_request(request_der)
