"""Targets of the trust service's own formats: metadata, keys, signatures."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from notary.changefiles import (
    Brought,
    ChangeFile,
    SignaturesFile,
    ToSign,
    parse_change,
    parse_signatures,
)
from notary.errors import ChangeRefused, InvalidKey, InvalidMetadata, InvalidReference
from notary.roles import parse_repository
from notary.signing import Quorum, parse_document
from notary.strictjson import canonical, encode_json, parse_strict
from notary.trustkeys import key_of_spki, material_of, parse_key, parse_public_key
from swarmsec.errors import Unavailable, UsageProblem
from swarmsec.services.trust.oidc_tokens import issuer_of_token, parse_issuers
from swarmsec.wiring.trust.trustclient import parse_pending
from tests.fuzz.engine import CheckFailed, Target
from tests.fuzz.material import text_of

_PEM = b"""-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
-----END PUBLIC KEY-----
"""
_KEY = json.dumps({"keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": {"public": _PEM.decode()}}).encode()
_FILE = (
    b'{"signatures":[{"keyid":"aa","sig":"00"}],"signed":{"_type":"targets","expires":"2027-01-01T00:00:00Z",'
    b'"spec_version":"1.0.31","targets":{"r/a/1":{"hashes":{"sha256":"00"},"length":1}},"version":1}}'
)
_JWKS = (
    b'{"keys":[{"kty":"EC","crv":"P-256","kid":"a","x":"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY",'
    b'"y":"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}]}'
)
_ISSUERS = (
    b'{"issuers":[{"issuer":"https://ci.example","audience":"a","jwks":"k","rules":[{"subject":"repo:*",'
    b'"repositories":["registry.example/a"]}]}]}'
)
_KNOWN_ISSUERS = parse_issuers(_ISSUERS, lambda _: _JWKS)
_JSON_WORDS = (b'"', b"{", b"}", b"[", b"]", b":", b",", b"\\u", b"\\ud800", b"NaN", b"1e9", b"-0", b"\xef\xbb\xbf")


def _strict(data: bytes) -> None:
    value = parse_strict(data, limit=100_000)
    canonical(value)
    if parse_strict(encode_json(value), limit=1_000_000) != value:
        raise CheckFailed("expected the value to read alike once it is written")


def _document(data: bytes) -> None:
    document = parse_document("targets", data)
    if parse_document("targets", document.encode()) != document:
        raise CheckFailed("expected the document to read alike once it is written")


def _key(data: bytes) -> None:
    key = parse_key("id", parse_strict(data, limit=100_000))
    if not material_of(key):
        raise CheckFailed("expected a key with material")


def _public_key(data: bytes) -> None:
    if key_of_spki(material_of(parse_public_key(data))).keytype not in {"ecdsa", "ed25519", "rsa"}:
        raise CheckFailed("expected a kind that counts")


def _repository(data: bytes) -> None:
    name = parse_repository(text_of(data))
    if parse_repository(name) != name:
        raise CheckFailed("expected a name in full form to stay as it is")


def _change(data: bytes) -> None:
    change = parse_change(data)
    if parse_change(change.encode()) != change:
        raise CheckFailed("expected the change to read alike once it is written")


def _signatures(data: bytes) -> None:
    signatures = parse_signatures(data)
    if parse_signatures(signatures.encode()) != signatures:
        raise CheckFailed("expected the signatures to read alike once they are written")


def _change_seed() -> bytes:
    key = parse_public_key(_PEM)
    quorum = Quorum(keys={key.keyid: key}, threshold=1)
    item = ToSign(document=parse_document("targets", _FILE), quorums=(quorum,))
    return ChangeFile(change_id="00ff", summary="delegate r/a", documents=(item,)).encode()


def _pending(data: bytes) -> None:
    listed, files = parse_pending(data)
    for item, _ in zip(listed, files, strict=True):
        if not isinstance(item["id"], str) or not all(quorum["keys"] is not None for quorum in _quorums(item)):
            raise CheckFailed("expected what is shown of a change to be there")


def _quorums(item: Mapping[str, Any]) -> list[Any]:
    return [quorum for quorums in item["missing"].values() for quorum in quorums]


def _pending_seed() -> bytes:
    shown = {"id": "00ff", "summary": "delegate", "missing": {"targets": [{"keys": ["aa"], "missing": 1}]}}
    return json.dumps([{**shown, "file": base64.b64encode(_change_seed()).decode()}]).encode()


_SIGNATURES = SignaturesFile(
    change_id="00ff", signatures=(Brought(role="targets", keyid="aa", signature="00"),)
).encode()


def _issuers(data: bytes) -> None:
    for name, issuer in parse_issuers(data, lambda _: _JWKS).items():
        if issuer.issuer != name or not issuer.keys or not issuer.rules:
            raise CheckFailed("expected an issuer with keys and rules under its own name")


def _token_issuer(data: bytes) -> None:
    issuer_of_token(_KNOWN_ISSUERS, text_of(data))


TARGETS: tuple[Target, ...] = (
    Target(
        name="strict-json",
        run=_strict,
        seeds=(_FILE, b'{"a":[1,true,null,{"b":"\\u00e9\\n"}]}'),
        allowed=(InvalidMetadata,),
        covers=("notary.strictjson.parse_strict",),
        words=_JSON_WORDS,
    ),
    Target(
        name="trust-document",
        run=_document,
        seeds=(_FILE,),
        allowed=(InvalidMetadata,),
        covers=("notary.signing.parse_document",),
        words=_JSON_WORDS,
    ),
    Target(
        name="trust-change",
        run=_change,
        seeds=(_change_seed(),),
        allowed=(InvalidMetadata, ChangeRefused),
        covers=("notary.changefiles.parse_change",),
        words=(*_JSON_WORDS, b'"threshold":0', b'"quorums":[]'),
    ),
    Target(
        name="trust-pending",
        run=_pending,
        seeds=(_pending_seed(), b"[]", b"{}", b"null", b"[" * 5000),
        allowed=(Unavailable,),
        covers=("swarmsec.wiring.trust.trustclient.parse_pending",),
        words=(*_JSON_WORDS, b'"missing":null', b'"file":""'),
    ),
    Target(
        name="trust-signatures",
        run=_signatures,
        seeds=(_SIGNATURES,),
        allowed=(InvalidMetadata,),
        covers=("notary.changefiles.parse_signatures",),
        words=_JSON_WORDS,
    ),
    Target(
        name="trust-issuers",
        run=_issuers,
        seeds=(_ISSUERS,),
        allowed=(UsageProblem,),
        covers=("swarmsec.services.trust.oidc_tokens.parse_issuers",),
        words=(*_JSON_WORDS, b"*", b"**"),
    ),
    Target(
        name="trust-token-issuer",
        run=_token_issuer,
        seeds=(b"eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJodHRwczovL2NpLmV4YW1wbGUifQ.AAAA",),
        allowed=(),
        covers=("swarmsec.services.trust.oidc_tokens.issuer_of_token",),
        words=(b".", b"eyJ", b"=="),
    ),
    Target(
        name="trust-key",
        run=_key,
        seeds=(_KEY,),
        allowed=(InvalidKey, InvalidMetadata),
        covers=("notary.trustkeys.parse_key",),
        words=(*_JSON_WORDS, b"ed25519", b"rsa", b"rsassa-pss-sha256"),
    ),
    Target(
        name="trust-public-key",
        run=_public_key,
        seeds=(_PEM,),
        allowed=(InvalidKey,),
        covers=("notary.trustkeys.parse_public_key",),
    ),
    Target(
        name="trust-repository",
        run=_repository,
        seeds=(b"registry.example:5000/team/app", b"nginx"),
        allowed=(InvalidReference,),
        covers=("notary.roles.parse_repository",),
        words=(b"/", b":", b"@", b".."),
    ),
)
