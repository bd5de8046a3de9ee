"""Targets of the certificate authority: tokens, requests, certificates, names, ids."""

from __future__ import annotations

from cryptography import x509

from ca import base36, der, pem
from ca.algorithms import parse_public_key
from ca.bundle import parse_bundle, parse_certificate, write_bundle
from ca.errors import InvalidCertificate, InvalidRequest, InvalidToken
from ca.hosts import parse_host, parse_hosts
from ca.identity import identity_of, parse_cluster_id, parse_node_id, subject_of
from ca.requests import parse_signing_request, parse_signing_requests
from ca.tokens import JoinToken, digest_of_bundle
from tests.fuzz.engine import CheckFailed, Target
from tests.fuzz.material import (
    CLUSTER,
    LEAF_DER,
    LEAF_PEM,
    NODE,
    NODE_SIGNER,
    REQUEST_DER,
    REQUEST_PEM,
    ROOT_DER,
    ROOT_PEM,
    ROOT_SIGNER,
    SECRET,
    signed,
    text_of,
)

_DIGEST = base36.encode(int.from_bytes(digest_of_bundle(ROOT_PEM), "big"), width=50)
TOKEN = f"SWMTKN-1-{_DIGEST}-{SECRET}"


def _token(data: bytes) -> None:
    text = text_of(data)
    token = JoinToken.parse(text)
    if token.format() != text or not token.is_same(JoinToken.parse(text)):
        raise CheckFailed("expected one text for one token")
    if SECRET in repr(token):
        raise CheckFailed("expected no secret in the token's repr")


def _base36(data: bytes) -> None:
    text = text_of(data)
    number = base36.decode(text, width=25, bits=128)
    if base36.encode(number, width=25) != text:
        raise CheckFailed("expected one text for one number")


def _request(data: bytes) -> None:
    before, _, after = parse_signing_requests([REQUEST_DER, data, REQUEST_PEM])
    if before != after or isinstance(before, InvalidRequest):
        raise CheckFailed("expected nothing of a request to reach those beside it")
    request = parse_signing_request(data)
    parse_public_key(request.spki_der, refusal=InvalidRequest)
    if len(data) > 8192:
        raise CheckFailed("expected a bound on the size of a request")


def _request_signed(data: bytes) -> None:
    """The part of a request that is signed, signed anew, so that what is inside gets past the proof of possession."""
    parse_signing_request(signed(data, NODE_SIGNER))


def _bundle(data: bytes) -> None:
    roots = parse_bundle(data)
    written = write_bundle(roots)
    if write_bundle(parse_bundle(written)) != written:
        raise CheckFailed("expected a written bundle to read as the same bundle")
    if len(roots) > 16 or len(data) > 64 * 1024:
        raise CheckFailed("expected a bound on the size of a bundle")


def _certificate(data: bytes) -> None:
    parse_certificate(data)


def _root_signed(data: bytes) -> None:
    """What is signed of a root, signed anew by the root's key."""
    parse_bundle(pem.write_block(signed(data, ROOT_SIGNER), "CERTIFICATE"))


def _identity(data: bytes) -> None:
    identity = identity_of(parse_certificate(data))
    if subject_of(identity).rfc4514_string() != _subject(data):
        raise CheckFailed("expected the subject that the identity writes")


def _subject(data: bytes) -> str:
    return x509.load_der_x509_certificate(data).subject.rfc4514_string()


def _host(data: bytes) -> None:
    host = parse_host(text_of(data))
    if parse_host(str(host)) != host or len(str(host)) > 253:
        raise CheckFailed("expected one text for one host")


def _hosts(data: bytes) -> None:
    hosts = parse_hosts(text_of(data).split(","))
    if not 1 <= len(hosts) <= 100 or len(set(hosts)) != len(hosts):
        raise CheckFailed("expected 1 to 100 different hosts")


def _ids(data: bytes) -> None:
    cluster, _, node = text_of(data).partition(" ")
    if (parse_cluster_id(cluster), parse_node_id(node)) != (cluster, node):
        raise CheckFailed("expected ids to be taken as they are")


def _elements(data: bytes) -> None:
    if sum(map(len, der.children(data))) != len(der.content(data)):
        raise CheckFailed("expected the elements to fill the one around them")


def _public_key(data: bytes) -> None:
    parse_public_key(data, refusal=InvalidCertificate)


_ROOT_TBS = der.children(ROOT_DER)[0]
LEAF_TBS = der.children(LEAF_DER)[0]
_REQUEST_INFO = der.children(REQUEST_DER)[0]
DER_WORDS = (
    b"\x30\x00",
    b"\x30\x80",
    b"\x31\x00",
    b"\x02\x01\x00",
    b"\x02\x01\x80",
    b"\x05\x00",
    b"\x01\x01\x01",
    b"\x06\x03\x2a\x03\x04",
    b"\x06\x05\x2b\x81\x04\x00\x0a",
    b"\x84\x7f\xff\xff\xff",
    b"\xa0\x03\x02\x01\x02",
    b"\x17\x0d500101000000Z",
    b"\x18\x0f99991231235959Z",
    NODE_SIGNER.public_key_der,
    *der.children(LEAF_TBS),
)
PEM_WORDS = (b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----", b"-----BEGIN X509 CRL-----\n", b"=", b"\n")
_INVALID = (InvalidCertificate,)

TARGETS = (
    Target(
        name="join-token",
        run=_token,
        seeds=(TOKEN.encode(), TOKEN.replace("-1-", "-2-1-").encode()),
        allowed=(InvalidToken,),
        covers=("ca.tokens.JoinToken.parse",),
        words=(b"SWMTKN-", b"-2-0-", b"-1-", _DIGEST.encode(), b"z" * 50, SECRET.encode()),
        secrets=(SECRET,),
    ),
    Target(
        name="base36",
        run=_base36,
        seeds=(SECRET.encode(), b"0" * 25),
        allowed=(ValueError,),
        covers=("ca.base36.decode",),
        secrets=(SECRET,),
    ),
    Target(
        name="signing-request",
        run=_request,
        seeds=(REQUEST_PEM, REQUEST_DER),
        allowed=(InvalidRequest,),
        covers=("ca.requests.parse_signing_request", "ca.requests.parse_signing_requests"),
        words=(*DER_WORDS, b"-----BEGIN CERTIFICATE REQUEST-----\n", b"-----END CERTIFICATE REQUEST-----"),
    ),
    Target(
        name="signing-request-inside",
        run=_request_signed,
        seeds=(_REQUEST_INFO,),
        allowed=(InvalidRequest,),
        covers=("ca.requests.parse_signing_request",),
        words=DER_WORDS,
    ),
    Target(
        name="bundle",
        run=_bundle,
        seeds=(ROOT_PEM, ROOT_PEM.replace(b"\n", b"\r\n")),
        allowed=_INVALID,
        covers=("ca.bundle.parse_bundle", "ca.pem.parse_blocks"),
        words=(*PEM_WORDS, ROOT_PEM, LEAF_PEM),
    ),
    Target(
        name="root-inside",
        run=_root_signed,
        seeds=(_ROOT_TBS, LEAF_TBS),
        allowed=_INVALID,
        covers=("ca.bundle.parse_bundle", "ca.bundle.parse_certificate"),
        words=(*DER_WORDS, *der.children(_ROOT_TBS)),
    ),
    Target(
        name="certificate",
        run=_certificate,
        seeds=(ROOT_DER, LEAF_DER),
        allowed=_INVALID,
        covers=("ca.bundle.parse_certificate",),
        words=DER_WORDS,
    ),
    Target(
        name="identity",
        run=_identity,
        seeds=(LEAF_DER,),
        allowed=_INVALID,
        covers=("ca.identity.identity_of",),
        words=(*DER_WORDS, b"swarm-manager", b"swarm-worker", b"swarm-ca"),
    ),
    Target(
        name="host",
        run=_host,
        seeds=(b"ca.example.internal", b"192.0.2.1", b"2001:db8::1", b"::ffff:192.0.2.1", b"_srv.a-b"),
        allowed=(InvalidRequest,),
        covers=("ca.hosts.parse_host",),
        words=(b".", b"0x7f", b"%eth0", b"xn--", b"*.", b"::", b"127.1"),
    ),
    Target(
        name="hosts",
        run=_hosts,
        seeds=(b"a,b,192.0.2.1", b",".join(b"h%d" % number for number in range(100))),
        allowed=(InvalidRequest,),
        covers=("ca.hosts.parse_hosts",),
        words=(b",", b"A,a"),
    ),
    Target(
        name="ids",
        run=_ids,
        seeds=(f"{CLUSTER} {NODE}".encode(), b"FIPS.shop worker-1.example"),
        allowed=(InvalidRequest,),
        covers=("ca.identity.parse_cluster_id", "ca.identity.parse_node_id"),
        words=(b" ", b"swarm-ca", b"swarm-manager", b"localhost", b"10.0.0.1", b"FIPS."),
    ),
    Target(
        name="der",
        run=_elements,
        seeds=(ROOT_DER, LEAF_TBS),
        allowed=(ValueError,),
        covers=("ca.der.children", "ca.der.content"),
        words=DER_WORDS,
    ),
    Target(
        name="public-key",
        run=_public_key,
        seeds=(NODE_SIGNER.public_key_der,),
        allowed=_INVALID,
        covers=("ca.algorithms.parse_public_key",),
        words=DER_WORDS,
    ),
)
