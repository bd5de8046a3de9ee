"""Canonical JSON: RFC 8785's own examples, one form for one value, and what has no form is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmsec.audit.canonical import MAX_INTEGER, MAX_TEXT, bounded_text, encode_canonical, parse_canonical

VECTORS = json.loads((Path(__file__).parents[3] / "vectors/audit/canonical_v1.json").read_text())
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = st.text(st.characters(max_codepoint=127), max_size=8)
VALUES = st.recursive(
    st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["source"] for vector in VECTORS])
def test_the_examples_of_the_standard_come_out_as_it_says(vector: dict[str, Any]) -> None:
    assert encode_canonical(vector["value"]).decode() == vector["canonical"]
    assert parse_canonical(vector["canonical"].encode()) == vector["value"]


def test_control_characters_are_escaped_as_the_standard_says() -> None:
    short = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r"}
    for code in range(32):
        expected = short.get(code, f"\\u{code:04x}")
        assert encode_canonical({"": chr(code)}).decode() == f'{{"":"{expected}"}}'
    assert encode_canonical({"": "\x7f\u2028/<"}).decode() == '{"":"\x7f\u2028/<"}'


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_one_value_has_one_form_and_comes_back(value: dict[str, object]) -> None:
    data = encode_canonical(value)
    assert parse_canonical(data) == value
    assert encode_canonical(dict(reversed(value.items()))) == data


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")))
def test_other_bytes_are_refused_or_canonical(data: bytes) -> None:
    try:
        value = parse_canonical(data)
    except ValueError:
        return
    assert encode_canonical(value) == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'"text"',
        b"null",
        b"{} ",
        b" {}",
        b'{"a":1,"a":1}',
        b'{"b":1,"a":1}',
        b'{"a": 1}',
        b'{"a":1.0}',
        b'{"a":1e2}',
        b'{"a":-0}',
        b'{"a":01}',
        b'{"a":null}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":9007199254740992}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":"\\u0041"}',
        b'{"a":"\\/"}',
        b'{"a":"\\u000A"}',
        b'{"a":"\\ud800"}',
        b'{"\xc3\xa9":1}',
        b'{"a":"\xff"}',
        b"\xef\xbb\xbf{}",
        b'{"a":' * 300 + b"1" + b"}" * 299,
        b'{"a":' * 100_000,
        b"[" * 100_000,
    ],
)
def test_what_is_not_in_canonical_form_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        parse_canonical(data)


@pytest.mark.parametrize("depth", [400, 800, 900, 950, 990, 1100])
def test_no_depth_of_nesting_ends_in_another_error(depth: int) -> None:
    data = b'{"a":' * depth + b"1" + b"}" * depth
    try:
        value = parse_canonical(data)
    except ValueError:
        return
    assert encode_canonical(value) == data


@pytest.mark.parametrize(
    "value",
    [None, 1.5, float("nan"), b"bytes", {1: "a"}, {"é": 1}, MAX_INTEGER + 1, -MAX_INTEGER - 1, object(), "\ud800", {1}],
)
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(ValueError):
        encode_canonical({"a": value})


@given(st.text(max_size=50))
def test_any_text_is_made_fit(text: str) -> None:
    assert encode_canonical({"a": bounded_text(text)})


def test_a_long_text_is_cut_with_a_mark() -> None:
    assert bounded_text("é" * MAX_TEXT) == "é" * MAX_TEXT
    assert bounded_text("é" * (MAX_TEXT + 1)) == "é" * MAX_TEXT + "…(+1)"
    assert len(bounded_text("x" * 2**20)) < MAX_TEXT + 20
