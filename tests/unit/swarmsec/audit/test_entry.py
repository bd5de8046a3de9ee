"""Entries: always canonical, bounded, and read back strictly, whatever texts they were given."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.canonical import MAX_TEXT, bounded_text, encode_canonical, parse_canonical
from swarmsec.audit.entry import (
    GENESIS,
    MAX_ENTRY_BYTES,
    Actor,
    Event,
    ObjectRef,
    Place,
    PolicyRef,
    RowChange,
    Source,
    encode_entry,
    leaf_hash,
    parse_entry,
    uuid7,
)
from swarmsec.audit.errors import EntryInvalid

PLACE = Place(seq=7, id="id", time="2026-01-01T00:00:00.000Z", mono=1, prev=GENESIS)
HOSTILE = ["\x00\x08\x1b[31m\x7f", "<b>&\"'\\/</b>", "\ud800", "a\udfffb", "\u2028"]
LONG = ["é" * MAX_TEXT, "x" * (MAX_TEXT + 1), "𝄞" * 2000]
TEXTS = st.text(max_size=40) | st.sampled_from(HOSTILE + LONG)
FIELDS = st.dictionaries(
    st.sampled_from(["b", "a", "a_b", "Z", "~", " "]),
    TEXTS | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.lists(TEXTS, max_size=3),
    max_size=4,
)


def event(reason: str = "", fields: Mapping[str, object] | None = None, request_id: str = "") -> Event:
    return Event(
        action=Action.CA_ISSUE,
        outcome=Outcome.SUCCESS,
        object=ObjectRef(type="certificate", id="1f"),
        actor=Actor(type="local", id="uid:0"),
        reason=reason,
        request_id=request_id,
        fields=fields or {},  # type: ignore[arg-type]  # what no field may be is tried as well
    )


@pytest.mark.parametrize("part", [Actor, Source, ObjectRef, PolicyRef])
def test_parts_of_an_entry_stand_in_canonical_order(part: type[msgspec.Struct]) -> None:
    assert list(part.__struct_fields__) == sorted(part.__struct_fields__)


def test_an_entry_has_exactly_the_documented_bytes() -> None:
    full = Event(
        action=Action.CA_ISSUE,
        outcome=Outcome.DENIED,
        object=ObjectRef(type="certificate", id="1f", name="n", version=2),
        actor=Actor(type="certificate", id="n1", auth="mtls", certificate_sha256="ab"),
        source=Source(ip="192.0.2.1", node="n1", pid=5),
        reason="why",
        policy=PolicyRef(id="p", digest="d", decision="deny"),
        request_id="r",
        session="s",
        fields={"z": True, "a": ["x", "y"], "n": -3},
    )
    state = [RowChange(table="settings", key="a/b", digest="00"), RowChange(table="seals", key="x", digest="")]
    assert json.loads(encode_entry(full, PLACE, state)) == {
        "v": 1,
        "seq": 7,
        "id": "id",
        "time": "2026-01-01T00:00:00.000Z",
        "mono": 1,
        "prev": "00" * 32,
        "action": "ca.issue",
        "outcome": "denied",
        "object": {"type": "certificate", "id": "1f", "name": "n", "version": 2},
        "actor": {"type": "certificate", "id": "n1", "auth": "mtls", "certificate_sha256": "ab"},
        "source": {"ip": "192.0.2.1", "node": "n1", "pid": 5},
        "reason": "why",
        "policy": {"id": "p", "digest": "d", "decision": "deny"},
        "request_id": "r",
        "session": "s",
        "fields": {"z": True, "a": ["x", "y"], "n": -3},
        "state": [["settings", "a/b", "00"], ["seals", "x", ""]],
    }


def test_absent_members_are_left_out() -> None:
    members = set(json.loads(encode_entry(event(), PLACE)))
    assert members == {"v", "seq", "id", "time", "mono", "prev", "action", "outcome", "object", "actor"}


@given(TEXTS, FIELDS, TEXTS)
def test_every_entry_is_canonical_and_carries_what_it_was_given(
    reason: str, fields: dict[str, object], request_id: str
) -> None:
    data = encode_entry(event(reason, fields, request_id), PLACE)
    entry = parse_entry(data)
    assert encode_canonical(parse_canonical(data)) == data
    assert entry.get("reason", "") == bounded_text(reason)
    assert entry.get("request_id", "") == bounded_text(request_id)
    expected = {
        name: bounded_text(value) if isinstance(value, str) else value
        for name, value in fields.items()
        if not isinstance(value, list)
    }
    lists = {name: list(map(bounded_text, value)) for name, value in fields.items() if isinstance(value, list)}
    assert entry.get("fields", {}) == expected | lists


@pytest.mark.parametrize(
    "fields",
    [
        {"é": "name"},
        {"a": 2**53},
        {"a": -(2**53)},
        {"a": 2**70},
        {"a": 1.5},
        {"a": b"bytes"},
        {"a": object()},
        {"a": ["x" * MAX_TEXT] * 64},
    ],
)
def test_what_an_entry_cannot_carry_is_refused_by_its_own_error(fields: dict[str, object]) -> None:
    with pytest.raises(EntryInvalid):
        encode_entry(event(fields=fields), PLACE)


def test_an_entry_of_the_largest_size_is_made_and_one_more_byte_refused() -> None:
    empty = len(encode_entry(event(), PLACE, [RowChange(table="t", key="", digest="")]))
    for more, fits in ((MAX_ENTRY_BYTES - empty, True), (MAX_ENTRY_BYTES - empty + 1, False)):
        state = [RowChange(table="t", key="k" * more, digest="")]
        if fits:
            assert len(encode_entry(event(), PLACE, state)) == MAX_ENTRY_BYTES
        else:
            with pytest.raises(EntryInvalid, match="at most 65535 bytes, got 65536"):
                encode_entry(event(), PLACE, state)


@pytest.mark.parametrize("reason", ["", "x" * 5000, "\ud800"])
def test_the_keys_of_rows_are_never_cut(reason: str) -> None:
    key = "k" * 3000
    entry = parse_entry(encode_entry(event(reason), PLACE, [RowChange(table="settings", key=key, digest="00")]))
    assert entry["state"] == [["settings", key, "00"]]


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        (b'"v":1', b'"v":2', "version 1, got 2"),
        (b'"v":1', b'"v":"1"', "version 1"),
        (b'"v":1', b'"w":1', "version 1"),
        (b'"seq":7', b'"seq":"7"', "seq"),
        (b'"prev":"', b'"prov":"', "prev"),
        (b'"action":"ca.issue"', b'"action":7', "action"),
        (b"{", b"{ ", "canonical"),
        (b'"uid:0"', b'"uid:\\u0030"', "canonical"),
        (b'"uid:0"', b"[" * 5000, "canonical"),
        (b'"uid:0"', b'"\xff"', "canonical"),
    ],
)
def test_bytes_that_are_no_entry_of_this_version_are_refused(old: bytes, new: bytes, found: str) -> None:
    data = encode_entry(event(), PLACE)
    assert old in data
    with pytest.raises(EntryInvalid, match=found):
        parse_entry(data.replace(old, new, 1))


@given(st.binary(max_size=80))
def test_no_bytes_end_in_another_error(data: bytes) -> None:
    with pytest.raises(EntryInvalid):
        parse_entry(data)


def test_the_leaf_hash_is_that_of_rfc_6962() -> None:
    # The hash of an empty leaf, from the test data of certificate-transparency's own Merkle tree.
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


@given(st.integers(0, 2**48 - 2), st.binary(min_size=10, max_size=10))
def test_ids_are_version_7_and_sort_by_time(unix_ms: int, random: bytes) -> None:
    made = uuid.UUID(uuid7(unix_ms, random))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == unix_ms
    assert str(made) == uuid7(unix_ms, random)
    assert uuid7(unix_ms, b"\xff" * 10) < uuid7(unix_ms + 1, bytes(10))
