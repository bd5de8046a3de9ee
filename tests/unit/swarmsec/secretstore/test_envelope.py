"""Sealed records: the frozen format, and that nothing opens but exactly what was sealed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmsec.secretbytes import SecretBytes
from swarmsec.secretstore.envelope import (
    COMMITMENT_BYTES,
    MAX_PLAINTEXT,
    RecordContext,
    SealedRecord,
    TermKey,
    frame,
    open_record,
    rewrap,
    seal,
    term_of,
)
from swarmsec.secretstore.errors import RecordUnreadable

VECTORS = json.loads((Path(__file__).parents[3] / "vectors/secretstore/envelope_v1.json").read_text())
KEY = TermKey(term=3, key=SecretBytes(bytes(range(32))))
CONTEXT = RecordContext(store_id="store", name="ca/root/1", version=2, created=1_700_000_000)
RECORD = seal(KEY, CONTEXT, b"the plaintext", os.urandom)


def drawn(*values: bytes) -> Callable[[int], bytes]:
    """A source that gives these values in turn."""
    left = list(values)

    def random(count: int) -> bytes:
        value = left.pop(0)
        assert len(value) == count
        return value

    return random


def case_of(vector: dict[str, Any]) -> tuple[TermKey, RecordContext, SealedRecord]:
    names = ("store_id", "name", "version", "created")
    return (
        TermKey(term=vector["term"], key=SecretBytes(bytes.fromhex(vector["term_key"]))),
        RecordContext(**{name: vector[name] for name in names}),
        SealedRecord(wrapped_key=bytes.fromhex(vector["wrapped_key"]), body=bytes.fromhex(vector["body"])),
    )


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_records_of_version_1_are_made_and_opened_byte_for_byte(vector: dict[str, Any]) -> None:
    key, context, record = case_of(vector)
    plaintext = bytes.fromhex(vector["plaintext"])
    assert open_record(key, context, record).reveal() == plaintext
    assert term_of(record.wrapped_key) == vector["term"]
    random = drawn(*(bytes.fromhex(value) for value in vector["random"]))
    assert seal(key, context, plaintext, random) == record


@given(st.binary(max_size=300), st.text(max_size=40), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1))
def test_what_was_sealed_opens(plaintext: bytes, name: str, term: int, version: int) -> None:
    key = TermKey(term=term, key=SecretBytes(bytes(32)))
    context = replace(CONTEXT, name=name.encode("utf-8", "replace").decode(), version=version)
    assert open_record(key, context, seal(key, context, plaintext, os.urandom)).reveal() == plaintext


@pytest.mark.parametrize(
    "context",
    [
        replace(CONTEXT, store_id="stor"),
        replace(CONTEXT, name="ca/root/2"),
        replace(CONTEXT, version=1),
        replace(CONTEXT, created=1_700_000_001),
        # The same bytes when the fields are simply joined.
        replace(CONTEXT, store_id="storec", name="a/root/1"),
        replace(CONTEXT, store_id="", name="storeca/root/1"),
    ],
)
def test_a_record_opens_under_no_other_context(context: RecordContext) -> None:
    with pytest.raises(RecordUnreadable):
        open_record(KEY, context, RECORD)


@pytest.mark.parametrize(
    "key", [TermKey(term=4, key=KEY.key), TermKey(term=3, key=SecretBytes(bytes(32))), TermKey(term=0, key=KEY.key)]
)
def test_a_record_opens_under_no_other_key_or_term(key: TermKey) -> None:
    with pytest.raises(RecordUnreadable):
        open_record(key, CONTEXT, RECORD)


@given(st.data())
def test_no_changed_byte_opens(data: st.DataObject) -> None:
    part = data.draw(st.sampled_from(["wrapped_key", "body"]))
    whole = getattr(RECORD, part)
    offset = data.draw(st.integers(0, len(whole) - 1))
    mask = data.draw(st.integers(1, 255))
    changed = whole[:offset] + bytes([whole[offset] ^ mask]) + whole[offset + 1 :]
    with pytest.raises(RecordUnreadable):
        open_record(KEY, CONTEXT, replace(RECORD, **{part: changed}))


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_no_other_bytes_open(wrapped_key: bytes, body: bytes) -> None:
    for record in (
        SealedRecord(wrapped_key=wrapped_key, body=body),
        replace(RECORD, body=body),
        replace(RECORD, wrapped_key=wrapped_key),
    ):
        with pytest.raises(RecordUnreadable):
            open_record(KEY, CONTEXT, record)


def test_parts_of_two_records_of_one_context_do_not_mix() -> None:
    other = seal(KEY, CONTEXT, b"another text.", os.urandom)
    for record in (replace(RECORD, body=other.body), replace(RECORD, wrapped_key=other.wrapped_key)):
        with pytest.raises(RecordUnreadable):
            open_record(KEY, CONTEXT, record)


def test_a_record_without_the_commitment_to_its_data_key_does_not_open() -> None:
    other = seal(KEY, CONTEXT, b"the plaintext", os.urandom)
    grafted = RECORD.wrapped_key[:-COMMITMENT_BYTES] + other.wrapped_key[-COMMITMENT_BYTES:]
    with pytest.raises(RecordUnreadable, match="does not open"):
        open_record(KEY, CONTEXT, replace(RECORD, wrapped_key=grafted))


@pytest.mark.parametrize("part", ["wrapped_key", "body"])
@pytest.mark.parametrize("head", [b"\x00\x01", b"\x02\x01", b"\x01\x00", b"\x01\x02", b"\xff\xff"])
def test_an_unknown_version_or_suite_is_named(part: str, head: bytes) -> None:
    record = replace(RECORD, **{part: head + getattr(RECORD, part)[2:]})
    with pytest.raises(RecordUnreadable, match=f"expected record version 1 and suite 1, got {head[0]}, {head[1]}"):
        open_record(KEY, CONTEXT, record)


def test_rewrapping_moves_the_key_and_leaves_the_body() -> None:
    new = TermKey(term=9, key=SecretBytes(os.urandom(32)))
    moved = SealedRecord(wrapped_key=rewrap(KEY, new, CONTEXT, RECORD.wrapped_key, os.urandom), body=RECORD.body)
    assert open_record(new, CONTEXT, moved).reveal() == b"the plaintext"
    with pytest.raises(RecordUnreadable):
        open_record(KEY, CONTEXT, moved)
    with pytest.raises(RecordUnreadable):
        rewrap(new, KEY, CONTEXT, RECORD.wrapped_key, os.urandom)


def test_the_largest_plaintext_is_sealed_and_one_byte_more_refused() -> None:
    largest = bytes(MAX_PLAINTEXT)
    assert open_record(KEY, CONTEXT, seal(KEY, CONTEXT, largest, os.urandom)).reveal() == largest
    with pytest.raises(ValueError, match="expected at most 1048576 bytes, got 1048577"):
        seal(KEY, CONTEXT, largest + b"x", os.urandom)


@given(st.lists(st.binary(max_size=5), max_size=4), st.lists(st.binary(max_size=5), max_size=4))
def test_framing_tells_all_lists_apart(first: list[bytes], second: list[bytes]) -> None:
    assert (frame(*first) == frame(*second)) == (first == second)


def test_no_error_tells_what_was_inside() -> None:
    with pytest.raises(RecordUnreadable) as caught:
        open_record(KEY, replace(CONTEXT, version=1), RECORD)
    assert str(caught.value) == "a sealed record does not open"
    assert caught.value.__cause__ is None
    assert "SecretBytes" not in repr(KEY) or "<32 secret bytes>" in repr(KEY)
    assert bytes(range(32)).hex() not in repr(KEY)
