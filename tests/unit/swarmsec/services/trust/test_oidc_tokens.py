"""Tokens of a CI's own identity provider: its keys, its subjects, our audience, one use."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from swarmsec.errors import Denied, UsageProblem
from swarmsec.services.trust.ci_tokens import SpentToken
from swarmsec.services.trust.oidc_tokens import Issuer, issuer_of_token, parse_issuers, spend_oidc_token
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.trust.trustdesk import APP, OTHER, TrustDesk

ISSUER = "https://ci.example"
RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
JWKS = {
    "keys": [
        {**RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True), "kid": "r1"},
        {**ECAlgorithm.to_jwk(EC_KEY.public_key(), as_dict=True), "kid": "e1"},
    ]
}
RULES = [{"subject": "repo:shop/api:ref:refs/tags/*", "repositories": [APP]}]


def rules(**changes: Any) -> bytes:
    entry = {"issuer": ISSUER, "audience": "swarmsec", "jwks": "keys.json", "rules": RULES, **changes}
    return json.dumps({"issuers": [entry]}).encode()


def parsed(data: bytes | None = None, keys: Any = JWKS) -> Mapping[str, Issuer]:
    return parse_issuers(data or rules(), lambda name: json.dumps(keys).encode())


def claims(trust: TrustDesk, **changes: Any) -> dict[str, Any]:
    now = trust.home.store.clock.unix_ms() // 1000
    members = {
        "iss": ISSUER,
        "aud": "swarmsec",
        "sub": "repo:shop/api:ref:refs/tags/v1",
        "jti": "one",
        "iat": now,
        "exp": now + 300,
        **changes,
    }
    return {name: value for name, value in members.items() if value is not None}


def token(trust: TrustDesk, key: Any = RSA_KEY, algorithm: str = "RS256", kid: str = "r1", **changes: Any) -> str:
    return jwt.encode(claims(trust, **changes), key, algorithm=algorithm, headers={"kid": kid})


def spend(trust: TrustDesk, text: str, repository: str = APP) -> SpentToken:
    issuer = issuer_of_token(parsed(), text)
    assert issuer is not None
    return trust.home.store.write(lambda transaction: spend_oidc_token(transaction, issuer, OPERATOR, text, repository))


@pytest.mark.parametrize(("key", "algorithm", "kid"), [(RSA_KEY, "RS256", "r1"), (EC_KEY, "ES256", "e1")])
def test_a_job_s_token_counts_once(trust: TrustDesk, key: Any, algorithm: str, kid: str) -> None:
    text = token(trust, key, algorithm, kid)
    assert spend(trust, text).repository == APP
    with pytest.raises(Denied, match="was used already"):
        spend(trust, text)
    assert spend(trust, token(trust, key, algorithm, kid, jti="two")).repository == APP


@pytest.mark.parametrize(
    "subject", ["repo:shop/api:ref:refs/heads/main", "repo:evil/api:ref:refs/tags/v1", "repo:shop/api:pull_request", ""]
)
def test_attack_95_another_workflow_or_fork_signs_nothing(trust: TrustDesk, subject: str) -> None:
    with pytest.raises(Denied, match="may not sign for"):
        spend(trust, token(trust, sub=subject))


def test_attack_95_a_job_signs_the_repositories_of_its_rule_alone(trust: TrustDesk) -> None:
    with pytest.raises(Denied, match="may not sign for"):
        spend(trust, token(trust), OTHER)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "other"},
        {"aud": None},
        {"exp": None},
        {"iat": None},
        {"jti": None},
        {"sub": None},
        {"exp": "soon"},
        {"jti": 7},
        {"sub": "repo:shop/api:ref:refs/tags/\n"},
    ],
)
def test_attack_95_every_claim_is_needed_and_held_to_its_form(trust: TrustDesk, changes: dict[str, Any]) -> None:
    with pytest.raises(Denied, match="does not count"):
        spend(trust, token(trust, **changes))


def test_a_token_that_ended_or_holds_for_too_long_does_not_count(trust: TrustDesk) -> None:
    now = claims(trust)["iat"]
    for changes in ({"exp": now - 1}, {"iat": now + 60}, {"nbf": now + 60}, {"exp": now + 90_000}):
        with pytest.raises(Denied, match="has ended, begins later, or holds for too long"):
            spend(trust, token(trust, **changes))
    text = token(trust)
    trust.move_clock(timedelta(minutes=6))
    with pytest.raises(Denied, match="has ended"):
        spend(trust, text)


def by_hand(members: dict[str, Any], algorithm: str, sign: Callable[[bytes], bytes]) -> str:
    """A token that PyJWT itself refuses to make."""

    def encoded(data: bytes) -> bytes:
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    header = json.dumps({"alg": algorithm, "kid": "r1", "typ": "JWT"}).encode()
    data = encoded(header) + b"." + encoded(json.dumps(members).encode())
    return (data + b"." + encoded(sign(data))).decode()


def test_attack_95_alg_and_kid_tricks(trust: TrustDesk) -> None:
    public = RSA_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    stranger = rsa.generate_private_key(65537, 2048)
    tricks = [
        by_hand(claims(trust), "HS256", lambda data: hmac.digest(public, data, "sha256")),
        by_hand(claims(trust), "none", lambda data: b""),
        token(trust, stranger),
        token(trust, kid="e1"),
        token(trust, algorithm="RS512"),
        token(trust, algorithm="PS256"),
        token(trust, kid="../../keys"),
        jwt.encode(claims(trust), RSA_KEY, algorithm="RS256"),
        jwt.encode(claims(trust), stranger, algorithm="RS256", headers={"kid": "r1", "jwk": JWKS["keys"][0]}),
    ]
    for text in tricks:
        with pytest.raises(Denied, match="does not count"):
            spend(trust, text)


def test_an_issuer_that_is_not_listed_is_none_of_ours(trust: TrustDesk) -> None:
    assert issuer_of_token(parsed(), token(trust, iss="https://evil.example")) is None
    for text in ("", "a.b.c", "x" * 9000, "é"):
        assert issuer_of_token(parsed(), text) is None


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b'{"issuers":[]}',
        b'{"issuers":[{}]}',
        b'{"issuers":[1]}',
        rules(more=1),
        rules(rules=[]),
        rules(rules=[{"subject": "a?", "repositories": [APP]}]),
        rules(rules=[{"subject": "a", "repositories": []}]),
        rules(rules=[{"subject": "a", "repositories": ["a:1"]}]),
        rules(audience=""),
        rules(issuer=7),
    ],
)
def test_rules_that_cannot_be_meant_are_refused(data: bytes) -> None:
    with pytest.raises(UsageProblem):
        parsed(data)


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"keys": []},
        {"keys": [{"kty": "oct", "k": "AAAA", "kid": "a"}]},
        {"keys": [JWKS["keys"][0], JWKS["keys"][0]]},
        {"keys": [{**JWKS["keys"][0], "kid": ""}]},
        {"keys": [{**RSAAlgorithm.to_jwk(RSA_KEY, as_dict=True), "kid": "a"}]},
    ],
)
def test_key_sets_that_cannot_be_meant_are_refused(keys: Any) -> None:
    with pytest.raises(UsageProblem):
        parsed(keys=keys)
