"""Strict PEM."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from ca import pem
from tests.unit.ca.authority import KeySigner, new_root, p256

BLOCK = pem.write_block(b"content", "THING")


@given(st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=4))
def test_what_is_written_is_read(contents: list[bytes]) -> None:
    assert pem.parse_blocks(b"".join(pem.write_block(part, "THING") for part in contents), "THING") == tuple(contents)


def test_blocks_are_written_as_cryptography_does() -> None:
    certificate = new_root(KeySigner(key=p256()))
    written = pem.write_block(certificate.public_bytes(Encoding.DER), "CERTIFICATE")
    assert written == certificate.public_bytes(Encoding.PEM)


def test_white_space_around_blocks_and_other_line_ends_are_accepted() -> None:
    assert (
        pem.parse_blocks(b"\n " + BLOCK.replace(b"\n", b"\r\n") + b"\n" + BLOCK + b"\n\n", "THING") == (b"content",) * 2
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text\n" + BLOCK,
        BLOCK + b"text",
        BLOCK + b"-----BEGIN THING-----\n",
        BLOCK.replace(b"THING", b"OTHER"),
        BLOCK.replace(b"END THING", b"END OTHER"),
        BLOCK.replace(b"-----\nY", b"-----\nProc-Type: 4,ENCRYPTED\n\nY"),
        BLOCK.replace(b"Y29u", b"Y29"),
        BLOCK.replace(b"Y29u", b"Y=9u"),
        BLOCK.replace(b"Y29u", b"Y\xc3\xa9u"),
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="expected"):
        pem.parse_blocks(data, "THING")


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_or_read(data: bytes) -> None:
    with pytest.raises(ValueError, match="expected"):
        pem.parse_blocks(data, "THING")
