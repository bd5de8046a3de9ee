"""The wire format: what the documentation of Protocol Buffers gives as examples, and every way to be malformed."""

from __future__ import annotations

import pytest

from swarmsec.docker.protobuf import MalformedMessage, bytes_at, parse_fields


def read(text: str) -> list[tuple[int, int | bytes]]:
    fields = parse_fields(memoryview(bytes.fromhex(text)))
    return [(number, value if isinstance(value, int) else bytes(value)) for number, value in fields]


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("", []),
        ("08 96 01", [(1, 150)]),
        ("12 07 74 65 73 74 69 6e 67", [(2, b"testing")]),
        ("1a 03 08 96 01", [(3, b"\x08\x96\x01")]),
        ("0d 01 00 00 80 11 02 00 00 00 00 00 00 00", [(1, 0x80000001), (2, 2)]),
        ("08 ff ff ff ff ff ff ff ff ff 01", [(1, (1 << 64) - 1)]),
        ("f8 ff ff ff 0f 00", [((1 << 29) - 1, 0)]),
        ("0a 00", [(1, b"")]),
    ],
)
def test_fields_are_read(text: str, fields: list[tuple[int, int | bytes]]) -> None:
    assert read(text) == fields


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("08", "64 bits"),
        ("08 80", "64 bits"),
        ("08 ff ff ff ff ff ff ff ff ff 02", "64 bits"),
        ("08 80 80 80 80 80 80 80 80 80 80 00", "64 bits"),
        ("12 08 74 65 73 74 69 6e 67", "more bytes"),
        ("12 ff ff ff ff ff ff ff ff 7f", "more bytes"),
        ("0d 00 00 00", "more bytes"),
        ("11 00", "more bytes"),
        ("00 00", "number of a field"),
        ("80 80 80 80 10 00", "number of a field"),
        ("0b 0c", "in use, got 3"),
        ("0f", "in use, got 7"),
    ],
)
def test_what_is_malformed_is_refused(text: str, words: str) -> None:
    with pytest.raises(MalformedMessage, match=words):
        read(text)


def test_the_last_of_a_repeated_field_counts_and_a_number_is_no_bytes() -> None:
    message = memoryview(bytes.fromhex("0a 01 61 0a 01 62 10 05"))
    assert bytes(bytes_at(message, 1)) == b"b"
    assert bytes(bytes_at(message, 9)) == b""
    with pytest.raises(MalformedMessage, match="bytes in field 2"):
        bytes_at(message, 2)
