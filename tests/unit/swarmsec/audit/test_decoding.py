"""The quick way takes nothing that the strict way refuses, and says the same of what both take."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.canonical import MAX_INTEGER
from swarmsec.audit.decoding import decode_quickly
from swarmsec.audit.entry import GENESIS, Actor, Event, ObjectRef, Place, RowChange, Source, encode_entry, parse_entry
from swarmsec.audit.errors import EntryInvalid

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
fields = st.dictionaries(
    st.text("abcdef_", min_size=1, max_size=6),
    st.one_of(texts, st.booleans(), st.integers(-MAX_INTEGER, MAX_INTEGER), st.lists(texts, max_size=3)),
    max_size=4,
)


def entry(reason: str = "", **members: str | int | bool | list[str]) -> bytes:
    event = Event(
        action=Action.CA_ISSUE,
        outcome=Outcome.SUCCESS,
        object=ObjectRef(type="certificate", id="1", version=2),
        actor=Actor(type="local", id="uid:0"),
        source=Source(pid=7),
        reason=reason,
        fields=members,
    )
    place = Place(seq=7, id="an id", time="2026-05-04T10:20:30.000Z", mono=1, prev=GENESIS)
    return encode_entry(event, place, [RowChange("certificates", "1", "00" * 32)])


@given(texts, fields)
def test_what_we_write_is_read_quickly_and_alike(reason: str, members: dict[str, str | int | bool | list[str]]) -> None:
    data = entry(reason, **members)
    quick, strict = decode_quickly(data), parse_entry(data)
    assert quick is not None
    assert msgspec.json.decode(msgspec.json.encode(quick)) == strict


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_changed_byte_is_taken_only_where_the_strict_way_takes_it(at: int, value: int) -> None:
    data = bytearray(entry("why", count=3, names=["a"]))
    data[at % len(data)] = value
    if decode_quickly(bytes(data)) is not None:
        parse_entry(bytes(data))


@pytest.mark.parametrize("number", [MAX_INTEGER + 1, -MAX_INTEGER - 1, 2**63 - 1])
def test_integers_that_not_every_reader_keeps_are_not_taken(number: int) -> None:
    for old in (b'"count":3', b'"mono":1', b'"seq":7', b'"version":2', b'"pid":7'):
        data = entry("why", count=3).replace(old, old.partition(b":")[0] + b":%d" % number)
        assert decode_quickly(data) is None
        with pytest.raises(EntryInvalid):
            parse_entry(data)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b'{"v":1}', entry() + b" ", b" " + entry(), entry()[:-1]])
def test_what_is_no_entry_is_not_taken(data: bytes) -> None:
    assert decode_quickly(data) is None


def test_other_versions_and_unknown_members_are_left_to_the_strict_way() -> None:
    assert decode_quickly(entry().replace(b'"v":1', b'"v":2')) is None
    assert decode_quickly(entry().replace(b'"v":1', b'"v":1,"x":1')) is None
