"""Tokens for CI: one repository, one use, one algorithm, one audience, an end."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest

from swarmsec.errors import Denied, NotFound, UsageProblem
from swarmsec.services.trust.ci_tokens import (
    KEY_NAME,
    MAX_TTL,
    MadeToken,
    SpentToken,
    create_ci_token,
    spend_ci_token,
)
from tests.unit.swarmsec.services.trust.trustdesk import APP, OTHER, TrustDesk

QUARTER = timedelta(minutes=15)


@pytest.fixture
def ci(trust: TrustDesk) -> TrustDesk:
    """Two repositories that can be signed."""
    trust.sign(f"{APP}:1")
    trust.sign(f"{OTHER}:1")
    return trust


def make(ci: TrustDesk, ttl: timedelta = QUARTER) -> tuple[MadeToken, str]:
    made = ci.write(create_ci_token, repository=APP, ttl=ttl)
    return made, made.text.reveal().decode()


def spend(ci: TrustDesk, token: str, repository: str = APP) -> SpentToken:
    return ci.write(spend_ci_token, token, repository)


def claims_of(text: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(text, options={"verify_signature": False})
    return claims


def key_of(ci: TrustDesk) -> bytes:
    return ci.read(lambda transaction: ci.keys.get(transaction, KEY_NAME).reveal())


def forged(ci: TrustDesk, text: str, **changes: Any) -> str:
    """A token as somebody with the key would make it."""
    return jwt.encode({**claims_of(text), **changes}, key_of(ci), algorithm="HS256")


def test_attack_95_a_token_counts_once(ci: TrustDesk) -> None:
    made, text = make(ci)
    assert spend(ci, text) == SpentToken(token_id=made.token_id, repository=APP)
    with pytest.raises(Denied, match="was used already"):
        spend(ci, text)
    ci.verify()


def test_attack_95_a_token_is_for_its_repository_alone_and_is_not_spent_elsewhere(ci: TrustDesk) -> None:
    _, text = make(ci)
    with pytest.raises(Denied, match="is not for this repository"):
        spend(ci, text, OTHER)
    assert spend(ci, text).repository == APP


def test_a_token_is_worth_nothing_once_it_has_ended_or_before_it_begins(ci: TrustDesk) -> None:
    _, text = make(ci)
    for later in (QUARTER + timedelta(seconds=1), timedelta(minutes=-5)):
        ci.move_clock(later)
        with pytest.raises(Denied, match="has ended, or begins later"):
            spend(ci, text)
    ci.move_clock(QUARTER - timedelta(seconds=5))
    assert spend(ci, text).repository == APP


def test_a_spent_token_stays_spent_when_the_clock_is_set_back(ci: TrustDesk) -> None:
    _, text = make(ci)
    spend(ci, text)
    ci.move_clock(timedelta(hours=20))
    spend(ci, make(ci)[1])
    ci.move_clock(timedelta())
    with pytest.raises(Denied, match="was used already"):
        spend(ci, text)


def encoded(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def with_header(text: str, header: dict[str, Any]) -> str:
    _, payload, signature = text.split(".")
    return f"{encoded(header)}.{payload}.{signature}"


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "typ": "JWT"},
        {"alg": "HS512", "typ": "JWT"},
        {"alg": "RS256", "typ": "JWT"},
        {"alg": "ES256", "typ": "JWT"},
        {"alg": "hs256", "typ": "JWT"},
        {"typ": "JWT"},
    ],
)
def test_attack_95_another_algorithm_is_never_tried(ci: TrustDesk, header: dict[str, Any]) -> None:
    _, text = make(ci)
    for token in (with_header(text, header), with_header(text, header).rpartition(".")[0] + "."):
        with pytest.raises(Denied, match="does not count"):
            spend(ci, token)


@pytest.mark.parametrize(
    "more",
    [{"kid": "../../dev/null"}, {"kid": "0"}, {"jku": "https://evil.example"}, {"jwk": {}}, {"crit": ["x"]}],
)
def test_attack_95_a_header_chooses_no_key(ci: TrustDesk, more: dict[str, Any]) -> None:
    _, text = make(ci)
    token = jwt.encode(claims_of(text), key_of(ci), algorithm="HS256", headers=more)
    with pytest.raises(Denied, match="does not count"):
        spend(ci, token)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "other"},
        {"iss": "swarmsec:other"},
        {"exp": "soon"},
        {"exp": 2e12},
        {"exp": True},
        {"jti": 7},
        {"sub": ["registry.example/team/app"]},
        {"admin": True},
    ],
)
def test_attack_95_other_claims_do_not_count(ci: TrustDesk, changes: dict[str, Any]) -> None:
    _, text = make(ci)
    with pytest.raises(Denied):
        spend(ci, forged(ci, text, **changes))


@pytest.mark.parametrize("missing", ["aud", "exp", "iat", "iss", "jti", "nbf", "sub"])
def test_attack_95_every_claim_is_needed(ci: TrustDesk, missing: str) -> None:
    _, text = make(ci)
    claims = {name: value for name, value in claims_of(text).items() if name != missing}
    with pytest.raises(Denied, match="does not count"):
        spend(ci, jwt.encode(claims, key_of(ci), algorithm="HS256"))


@pytest.mark.parametrize("text", ["", "a.b.c", "....", "é", "x" * 5000, "null", "\ud800"])
def test_what_is_no_token_does_not_count(ci: TrustDesk, text: str) -> None:
    make(ci)
    with pytest.raises(Denied, match="does not count"):
        spend(ci, text)


def test_a_token_of_another_home_does_not_count(ci: TrustDesk) -> None:
    _, text = make(ci)
    with pytest.raises(Denied, match="does not count"):
        spend(ci, jwt.encode(claims_of(text), b"another key of thirty-two bytes!", algorithm="HS256"))


def test_where_no_token_was_ever_made_none_counts(ci: TrustDesk) -> None:
    with pytest.raises(Denied, match="does not count"):
        spend(ci, "a.b.c")


@pytest.mark.parametrize("ttl", [timedelta(), MAX_TTL + timedelta(seconds=1)])
def test_a_token_has_a_short_life(ci: TrustDesk, ttl: timedelta) -> None:
    with pytest.raises(UsageProblem, match="--ttl of 1s to 24h"):
        make(ci, ttl)


def test_a_token_needs_a_repository_that_can_be_signed(ci: TrustDesk) -> None:
    with pytest.raises(NotFound, match="nobody signs for"):
        ci.write(create_ci_token, repository="registry.example/none", ttl=QUARTER)


def test_no_token_is_in_the_log_and_every_refusal_is(ci: TrustDesk) -> None:
    _, text = make(ci)
    with pytest.raises(Denied):
        spend(ci, text, OTHER)
    spend(ci, text)
    said = b"\n".join(ci.read(lambda transaction: [entry.data for entry in transaction.log_entries.since(0)]))
    assert said.count(b'"trust.token-spend"') == 2
    assert b'"outcome":"denied"' in said
    assert text.rpartition(".")[2].encode() not in said
    assert text not in repr(make(ci)[0])
