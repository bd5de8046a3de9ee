"""Challenges and tokens, as registries word them."""

from __future__ import annotations

import pytest

from swarmsec.errors import Unavailable
from swarmsec.registry.challenges import parse_challenge, parse_token


@pytest.mark.parametrize(
    ("header", "scheme", "parameters"),
    [
        ('Bearer realm="https://a/t",service="s"', "bearer", {"realm": "https://a/t", "service": "s"}),
        (
            'bearer  REALM="https://a/t" , scope="repository:a:pull,push"',
            "bearer",
            {"realm": "https://a/t", "scope": "repository:a:pull,push"},
        ),
        ('Basic realm="a \\"b\\" c"', "basic", {"realm": 'a "b" c'}),
        ("Basic realm=plain", "basic", {"realm": "plain"}),
        ("Basic", "basic", {}),
    ],
)
def test_what_registries_ask_for(header: str, scheme: str, parameters: dict[str, str]) -> None:
    challenge = parse_challenge(header)
    assert (challenge.scheme, dict(challenge.parameters)) == (scheme, parameters)


@pytest.mark.parametrize("header", ["", "Negotiate", "Digest realm=x", '="x"', 'Bearer realm="a",realm="b"'])
def test_what_cannot_be_answered(header: str) -> None:
    with pytest.raises(Unavailable):
        parse_challenge(header)


def test_a_token_under_either_name() -> None:
    assert parse_token(b'{"token":"a.b-c_d","access_token":"other"}') == "a.b-c_d"
    assert parse_token(b'{"access_token":"x"}') == "x"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"token":7}', b'{"token":"a b"}', b'{"token":"a\\nb"}', b'{"token":""}']
)
def test_what_is_no_token(body: bytes) -> None:
    with pytest.raises(Unavailable):
        parse_token(body)
