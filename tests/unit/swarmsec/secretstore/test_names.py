"""Names of secrets fit into Docker's, and nothing else is one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmsec.secretstore.errors import SecretInvalid
from swarmsec.secretstore.names import MAX_NAME, SecretName

DOCKER_NAME = re.compile(r"[a-zA-Z0-9]+(?:[a-zA-Z0-9-_.]*[a-zA-Z0-9])?")


@pytest.mark.parametrize("text", ["a", "team/app/db", "A-1/b_2/c.3", "x" * MAX_NAME])
def test_a_name_keeps_its_text(text: str) -> None:
    assert str(SecretName.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "a//b",
        "/a",
        "a/",
        "-a",
        "a-",
        "a/.b",
        "a b",
        "ä",
        "a\n",
        "a\x00",
        "a#1",
        "x" * (MAX_NAME + 1),
        "a/../b",
    ],
    ids=repr,
)
def test_what_no_secret_can_be_called(text: str) -> None:
    with pytest.raises(SecretInvalid, match="expected a name such as team/app/db"):
        SecretName.parse(text)


@given(st.text(alphabet="abcXYZ019._-/#é ", max_size=70))
def test_every_name_is_one_that_docker_takes(text: str) -> None:
    try:
        name = SecretName.parse(text)
    except SecretInvalid:
        return
    assert DOCKER_NAME.fullmatch(name.docker_name)
    assert len(name.docker_name) <= 64
    assert name.last_part in name.text


def test_issued_names_are_told_by_their_first_part() -> None:
    assert SecretName.parse("pki/web").is_issued
    assert not SecretName.parse("pkiweb").is_issued
