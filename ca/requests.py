"""Certificate signing requests (PKCS #10, RFC 2986): what is taken from them, which is the public key alone.

What a certificate says comes from our own records (swarmkit, ca/certificates.go, ``CSRWhitelist``). A request may ask
for anything and gets none of it, but it must parse. The form that nodes send, which asks for nothing, is recognized by
``ca.plain_requests``; every other one is read here by ``cryptography``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar, cast

from cryptography import x509

from ca import der, pem
from ca.algorithms import (
    PARSE_ERRORS,
    KeyType,
    PublicKey,
    accept_key,
    algorithm_of,
    parse_public_key,
    spki_der_of,
    verify_signature,
)
from ca.errors import InvalidRequest
from ca.plain_requests import ALGORITHM, NO_NAME, PlainRequest, split_plain_request

MAX_REQUEST_BYTES = 8192
_LABEL = "CERTIFICATE REQUEST"
_PEM_START = b"-----BEGIN"

T = TypeVar("T")
V = TypeVar("V")
W = TypeVar("W")


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningRequest:
    """A checked request: whoever sent it holds the private key.

    Args:
        spki_der: canonical SubjectPublicKeyInfo, DER.
        spki_sha256: SHA-256 of it, lower-case hex; by this a key is known again.
        key_type: the kind of key.
    """

    spki_der: bytes
    spki_sha256: str
    key_type: KeyType


@dataclass(frozen=True, slots=True, kw_only=True)
class RootRequest:
    """A checked request for a cross-signed root, the one kind whose subject matters.

    Args:
        key: what every request proves.
        subject_der: Name byte for byte as it was sent, DER; ``ca.cross_requests`` decides about it.
    """

    key: SigningRequest
    subject_der: bytes


def parse_signing_requests(datas: Sequence[bytes]) -> list[SigningRequest | InvalidRequest]:
    """Read signing requests and verify their proofs of possession, those of a group together.

    Each goes through the same steps as one that is alone, and what is wrong with one says nothing of the others. The
    code of a step stays in the processor's caches while the whole group takes it.

    Args:
        datas: each one PEM block or DER, and nothing else; at most 8 KiB.

    Returns:
        for each a checked request; or the refusal of anything else, of a key or an algorithm that is not accepted, and
        of a signature that is not the key's.
    """
    read: list[PlainRequest | RootRequest | InvalidRequest] = _take_step(_read, bytes, datas)
    claims: list[_Claim | RootRequest | InvalidRequest] = _take_step(_claim_of, PlainRequest, read)
    proven: list[SigningRequest | RootRequest | InvalidRequest] = _take_step(_proven, _Claim, claims)
    return [each.key if isinstance(each, RootRequest) else each for each in proven]


def parse_signing_request(data: bytes) -> SigningRequest:
    """Read one signing request and verify its proof of possession.

    Args:
        data: as of ``parse_signing_requests``.

    Raises:
        InvalidRequest: the refusal that ``parse_signing_requests`` gives.
    """
    (found,) = parse_signing_requests([data])
    return _accepted(found)


def parse_root_request(data: bytes) -> RootRequest:
    """Read a signing request for a cross-signed root, as ``parse_signing_request``, and keep its subject.

    Args:
        data: as for ``parse_signing_request``.

    Raises:
        InvalidRequest: as ``parse_signing_request``.
    """
    found: list[PlainRequest | RootRequest | InvalidRequest] = _take_step(_read, bytes, [data])
    read = _accepted(found[0])
    # One of the plain form has no subject, and so is no root's.
    return read if isinstance(read, RootRequest) else RootRequest(key=parse_signing_request(data), subject_der=NO_NAME)


def _take_step(step: Callable[[T], V], kind: type[T], values: Sequence[T | W]) -> list[V | W | InvalidRequest]:
    """Take those of a kind through a step; in the place of one that it refuses comes the refusal."""
    taken: list[V | W | InvalidRequest] = []
    for value in values:
        try:
            taken.append(step(value) if isinstance(value, kind) else cast(W, value))
        except InvalidRequest as error:
            taken.append(error)
        except PARSE_ERRORS as error:
            refusal = InvalidRequest("expected one certificate signing request in PEM or DER")
            refusal.__cause__ = error
            taken.append(refusal)
    return taken


def _accepted(found: V | InvalidRequest) -> V:
    if isinstance(found, InvalidRequest):
        raise found
    return found


class _Claim(NamedTuple):
    """A request of the plain form and its key, which is not proven to be the sender's yet."""

    plain: PlainRequest
    key: PublicKey


def _read(data: bytes) -> RootRequest | PlainRequest:
    """A request of the form that nodes send, taken apart; any other is checked to its end."""
    if len(data) > MAX_REQUEST_BYTES:
        raise InvalidRequest(f"expected a signing request of at most {MAX_REQUEST_BYTES} bytes, got {len(data)}")
    request_der = _der_of(data)
    plain = split_plain_request(request_der)
    return _read_general(request_der) if plain is None else plain


def _claim_of(plain: PlainRequest) -> _Claim:
    """The key is parsed by ``cryptography``, which finds a point that is none."""
    return _Claim(plain, parse_public_key(plain.spki_der, refusal=InvalidRequest))


def _proven(claim: _Claim) -> SigningRequest:
    plain = claim.plain
    verify_signature(claim.key, ALGORITHM, plain.signature, plain.info_der, refusal=InvalidRequest)
    return _possessed(plain.spki_der, KeyType.P256)


def _read_general(request_der: bytes) -> RootRequest:
    request = x509.load_der_x509_csr(request_der)
    _verify_whole_octets(request_der, request.signature)
    key, key_type = accept_key(request.public_key(), refusal=InvalidRequest)
    _verify_possession(request, key)
    # Nothing of these is used; reading them is what refuses a request that is malformed inside.
    _ = (request.subject, list(request.attributes), list(request.extensions))
    _, subject_der, *_ = der.children(request.tbs_certrequest_bytes)
    return RootRequest(key=_possessed(spki_der_of(key), key_type), subject_der=subject_der)


def _possessed(spki_der: bytes, key_type: KeyType) -> SigningRequest:
    digest = hashlib.sha256(spki_der).hexdigest()
    return SigningRequest(spki_der=spki_der, spki_sha256=digest, key_type=key_type)


def _der_of(data: bytes) -> bytes:
    if not data.lstrip().startswith(_PEM_START):
        return data
    blocks = pem.parse_blocks(data, _LABEL)
    if len(blocks) != 1:
        raise InvalidRequest(f"expected one certificate signing request, got {len(blocks)}")
    return blocks[0]


def _verify_whole_octets(request_der: bytes, signature: bytes) -> None:
    """Refuse a signature of which bits do not count: ``cryptography`` reads it as if all did, so it had two forms."""
    *_, encoded = der.children(request_der)
    if encoded != der.bit_string(signature):
        raise InvalidRequest("expected a signature of whole octets")


def _verify_possession(request: x509.CertificateSigningRequest, key: PublicKey) -> None:
    """The algorithm is checked first: an accepted key says nothing about a request signed over SHA-1."""
    algorithm = algorithm_of(request.signature_algorithm_oid.dotted_string, key, refusal=InvalidRequest)
    verify_signature(key, algorithm, request.signature, request.tbs_certrequest_bytes, refusal=InvalidRequest)
