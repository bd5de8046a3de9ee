"""The DER writer, judged by ``cryptography`` and by arithmetic; the reader, by what the writer wrote."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from ca import der


@pytest.mark.parametrize(
    ("length", "header"),
    [(0, "0400"), (127, "047f"), (128, "048180"), (255, "0481ff"), (256, "04820100"), (65536, "0483010000")],
)
def test_lengths_take_their_shortest_form(length: int, header: str) -> None:
    assert der.octet_string(bytes(length)) == bytes.fromhex(header) + bytes(length)


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, "020100"), (127, "02017f"), (128, "02020080"), (256, "02020100"), (65535, "020300ffff")],
)
def test_integers_are_positive_and_minimal(number: int, expected: str) -> None:
    assert der.integer(number).hex() == expected


@given(st.integers(min_value=0, max_value=2**160))
def test_integers_have_no_needless_zero(number: int) -> None:
    content = der.content(der.integer(number))
    assert int.from_bytes(content, "big", signed=True) == number
    assert len(content) == 1 or content[0] != 0 or content[1] & 0x80


@pytest.mark.parametrize(
    ("dotted", "expected"),
    [("2.5.29.15", "0603551d0f"), ("1.2.840.10045.4.3.2", "06082a8648ce3d040302"), ("2.999.3", "0603883703")],
)
def test_object_identifiers(dotted: str, expected: str) -> None:
    assert der.oid(dotted).hex() == expected


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), b"\x17\x0d260102030405Z"),
        (datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), b"\x17\x0d491231235959Z"),
        (datetime(2050, 1, 1, tzinfo=UTC), b"\x18\x0f20500101000000Z"),
        (datetime(1950, 1, 1, tzinfo=UTC), b"\x17\x0d500101000000Z"),
    ],
)
def test_times_switch_form_in_2050(moment: datetime, expected: bytes) -> None:
    assert der.time(moment) == expected


@given(st.text(min_size=1, max_size=40, alphabet=st.characters(codec="utf-8")))
def test_utf8_strings_as_cryptography_writes_them(text: str) -> None:
    attribute = x509.NameAttribute(x509.NameOID.PSEUDONYM, text)
    name = der.sequence(der.set_of_one(der.sequence(der.oid("2.5.4.65"), der.utf8(text))))
    assert name == x509.Name([attribute]).public_bytes()


def test_tags_of_context() -> None:
    assert der.explicit(3, b"x").hex() == "a30178"
    assert der.implicit(2, b"x").hex() == "820178"
    assert der.bit_string(b"\x01").hex() == "03020001"


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_children_are_what_was_put_in(contents: list[bytes]) -> None:
    elements = tuple(der.octet_string(content) for content in contents)
    assert der.children(der.sequence(*elements)) == elements


@given(st.binary(max_size=40))
def test_arbitrary_bytes_are_split_or_refused(data: bytes) -> None:
    try:
        parts = der.children(data)
    except ValueError:
        return
    assert data.endswith(b"".join(parts))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "30",
        "3003",
        "300100ff",
        "30030401",
        "1f0100",
        "3080",
        "30810101",
        "3082000101",
        "3085000000000100",
        "308100",
    ],
    ids=[
        "empty",
        "no length",
        "short",
        "trailing",
        "inner",
        "high tag",
        "indefinite",
        "long form",
        "zero",
        "wide",
        "none",
    ],
)
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        der.children(bytes.fromhex(text))


def test_content_is_of_one_element() -> None:
    assert der.content(der.octet_string(b"ab")) == b"ab"
    with pytest.raises(ValueError, match="nothing after"):
        der.content(der.octet_string(b"ab") + b"\x00")
