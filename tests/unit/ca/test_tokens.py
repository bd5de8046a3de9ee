"""Join tokens, byte for byte Docker's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ca.errors import InvalidToken
from ca.tokens import JoinToken, digest_of_bundle
from tests.unit.ca.authority import VECTORS

DOCKER = VECTORS / "docker-20.10.24"
FROZEN: list[dict[str, Any]] = json.loads((VECTORS / "join_tokens.json").read_text())
TOKENS = st.builds(
    JoinToken,
    digest=st.binary(min_size=32, max_size=32),
    secret=st.binary(min_size=16, max_size=16),
    fips=st.sampled_from([None, False, True]),
)
GOOD = FROZEN[1]["token"]


@pytest.mark.parametrize("vector", FROZEN, ids=[vector["name"] for vector in FROZEN])
def test_frozen_tokens(vector: dict[str, Any]) -> None:
    digest, secret = bytes.fromhex(vector["digest"]), bytes.fromhex(vector["secret"])
    token = JoinToken(digest=digest, secret=secret, fips=vector["fips"])
    assert token.format() == vector["token"]
    assert JoinToken.parse(vector["token"]) == token
    assert JoinToken.parse(vector["token"]).fips is vector["fips"]


@pytest.mark.parametrize("role", ["worker", "manager"])
def test_tokens_of_a_docker_engine_digest_its_root_file(role: str) -> None:
    text = json.loads((DOCKER / "join_tokens.json").read_text())[role]
    bundle = (DOCKER / "swarm-root-ca.crt").read_bytes()
    token = JoinToken.parse(text)
    assert token.digest == digest_of_bundle(bundle)
    assert JoinToken.build(bundle, token.secret).format() == text
    assert digest_of_bundle(bundle.rstrip(b"\n")) != token.digest


def test_the_example_of_dockers_documentation() -> None:
    text = "SWMTKN-1-49nj1cmql0jkz5s954yi3oex3nedyz0fb0xx14ie39trti4wxv-8vxv8rssmk743ojnwacrr2e7c"
    assert JoinToken.parse(text).format() == text


@given(TOKENS)
def test_tokens_read_back(token: JoinToken) -> None:
    parsed = JoinToken.parse(token.format())
    assert parsed == token
    assert (parsed.digest, parsed.secret, parsed.fips) == (token.digest, token.secret, token.fips)


@given(TOKENS, TOKENS)
def test_tokens_are_the_same_when_their_texts_are(one: JoinToken, other: JoinToken) -> None:
    assert one.is_same(other) == (one.format() == other.format())
    assert one.is_same(JoinToken.parse(one.format()))


def test_a_token_differs_in_secret_digest_and_version() -> None:
    token = JoinToken.parse(GOOD)
    others = [
        JoinToken(digest=token.digest, secret=bytes(16)),
        JoinToken(digest=bytes(32), secret=token.secret),
        JoinToken(digest=token.digest, secret=token.secret, fips=False),
    ]
    assert not any(token.is_same(other) for other in others)
    assert token != GOOD


def test_the_secret_is_not_shown() -> None:
    token = JoinToken(digest=bytes(32), secret=b"0123456789abcdef")
    for text in (repr(token), str(token), f"{token}"):
        assert "0123456789abcdef" not in text
        assert token.format()[-25:] not in text


def test_tokens_are_not_dictionary_keys() -> None:
    with pytest.raises(TypeError):
        hash(JoinToken.parse(GOOD))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SWMTKN",
        GOOD.replace("SWMTKN", "SWMKEY"),
        GOOD.replace("SWMTKN-1", "SWMTKN-3"),
        GOOD.replace("SWMTKN-1", "SWMTKN-2"),
        GOOD.replace("SWMTKN-1", "SWMTKN-1-0"),
        GOOD.replace("SWMTKN-1", "SWMTKN-2-2"),
        GOOD.replace("SWMTKN-1", "SWMTKN-2-"),
        GOOD + "-",
        GOOD + "0",
        GOOD + "\n",
        " " + GOOD,
        GOOD[:-1],
        GOOD.upper(),
        GOOD.replace("-6", "-7"),
        GOOD * 50,
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(InvalidToken, match="expected"):
        JoinToken.parse(text)


@pytest.mark.parametrize(
    "text", [f"SWMTKN-1-{'z' * 50}-{'0' * 25}", f"SWMTKN-1-{'0' * 50}-{'z' * 25}", f"SWMTKN-1-{'0' * 50}-{'é' * 25}"]
)
def test_numbers_out_of_range_are_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidToken, match="base 36 and in range") as caught:
        JoinToken.parse(text)
    assert text[-25:] not in str(caught.value)
    assert caught.value.hint is not None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(("digest", "secret"), [(31, 16), (33, 16), (32, 15), (32, 17), (32, 0)])
def test_lengths_are_checked(digest: int, secret: int) -> None:
    with pytest.raises(InvalidToken, match="32 bytes and a secret of 16"):
        JoinToken(digest=bytes(digest), secret=bytes(secret))


@given(st.text(max_size=120) | st.from_regex(r"SWMTKN-[0-3](-[01])?-[0-9a-z]{50}-[0-9a-z]{25}", fullmatch=True))
def test_arbitrary_text_is_refused_or_reads_back(text: str) -> None:
    try:
        token = JoinToken.parse(text)
    except InvalidToken:
        return
    assert token.format() == text
