"""Strict JSON and TUF's canonical form: one text means one thing."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.formats import encode_canonical

from notary.errors import InvalidMetadata
from notary.strictjson import canonical, encode_json, parse_strict

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('ab/._-"\\\n', max_size=4), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text("abé/.\n", max_size=6), VALUES, max_size=5)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"a":1,"a":2}', "a member stands twice"),
        (b'{"b":{"a":1,"a":1}}', "a member stands twice"),
        (b'{"a":NaN}', "integers alone"),
        (b'{"a":-Infinity}', "integers alone"),
        (b'{"a":1.0}', "integers alone"),
        (b'{"a":1e3}', "integers alone"),
        (b'{"a":9223372036854775808}', "beyond 63 bits"),
        (b'{"a":' + b"9" * 5000 + b"}", "beyond 63 bits"),
        (b"\xef\xbb\xbf{}", "UTF-8"),
        ('{"a":"é"}'.encode("latin-1"), "UTF-8"),
        ("{}".encode("utf-16"), "UTF-8"),
        (b'{"a":"\\ud800"}', "UTF-8"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested"),
        (b"[]", "a JSON object, got list"),
        (b"", "UTF-8"),
        (b"{} {}", "UTF-8"),
    ],
)
def test_what_two_readers_could_read_differently_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(InvalidMetadata, match=said):
        parse_strict(data, limit=1_000_000)


def test_more_than_the_limit_is_refused_unread() -> None:
    with pytest.raises(InvalidMetadata, match="at most 4 bytes"):
        parse_strict(b'{"a":1}', limit=4)


@given(OBJECTS)
def test_what_is_encoded_reads_as_the_same_value(value: dict[str, object]) -> None:
    assert parse_strict(encode_json(value), limit=1_000_000) == value == json.loads(encode_json(value))


@given(OBJECTS)
def test_the_canonical_form_is_the_one_that_other_clients_make(value: dict[str, object]) -> None:
    expected = encode_canonical(value)
    assert expected is not None
    assert canonical(value) == expected.encode()


@pytest.mark.parametrize("value", [{"a": "\ud800"}, {"a": object()}])
def test_what_has_no_canonical_form_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(InvalidMetadata):
        canonical(value)
