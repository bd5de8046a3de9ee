"""Hostile texts in every place where an entry can carry one: bounded, canonical, on one line, and true."""

from __future__ import annotations

import pytest

from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.canonical import MAX_TEXT
from swarmsec.audit.decoding import decode_quickly
from swarmsec.audit.entry import (
    GENESIS,
    MAX_ENTRY_BYTES,
    Actor,
    Event,
    ObjectRef,
    Place,
    PolicyRef,
    Source,
    encode_entry,
    parse_entry,
)

TEXTS = {
    "nothing but NUL": "\0" * 20,
    "every control character": "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0)])),
    "terminal": "\x1b[2J\x1b]0;owned\x07\x9b31m\r\n",
    "markup": "<script>alert(1)</script>&amp;\"'`${x}{{y}}|=cmd|' /C calc'!A0",
    "right to left": "\u202egnp.exe\u2066\u200b\ufeff",
    "line separators": "a\u2028b\u2029c\x85d",
    "lone surrogates": "a\ud800b\udfff",
    "beyond the basic plane": "\U0001f4a9" * 5000,
    "a mebibyte": "a" * (1 << 20),
    "a mebibyte of control characters": "\x01" * (1 << 20),
}


def event(text: str, place: str) -> Event:
    def at(name: str) -> str:
        return text if name == place else "x"

    return Event(
        action=Action.CA_ISSUE,
        outcome=Outcome.DENIED,
        object=ObjectRef(type=at("object.type"), id=at("object.id"), name=at("object.name")),
        actor=Actor(
            type=at("actor.type"), id=at("actor.id"), auth=at("actor.auth"), certificate_sha256=at("actor.sha")
        ),
        source=Source(ip=at("source.ip"), node=at("source.node"), pid=1),
        reason=at("reason"),
        policy=PolicyRef(id=at("policy.id"), digest=at("policy.digest"), decision=at("policy.decision")),
        request_id=at("request_id"),
        session=at("session"),
        fields={"one": at("field"), "many": ["x", at("field of many")]},
    )


PLACES = (
    *("object.type", "object.id", "object.name", "actor.type", "actor.id", "actor.auth", "actor.sha", "source.ip"),
    *("source.node", "reason", "policy.id", "policy.digest", "policy.decision", "request_id", "session", "field"),
    "field of many",
)
PLACE = Place(seq=7, id="an id", time="2026-05-04T10:20:30.000Z", mono=1, prev=GENESIS)


def texts_in(value: object) -> list[str]:
    """Every text of a document."""
    match value:
        case str():
            return [value]
        case dict():
            return [text for member in value.values() for text in texts_in(member)]
        case list():
            return [text for member in value for text in texts_in(member)]
        case _:
            return []


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_carried_whole_or_cut_with_a_mark(name: str, place: str) -> None:
    text = TEXTS[name]
    data = encode_entry(event(text, place), PLACE)
    assert len(data) <= MAX_ENTRY_BYTES
    assert not any(byte < 0x20 for byte in data), "an entry is one line of printable bytes"
    entry = parse_entry(data)
    quick = decode_quickly(data)
    assert quick is None or quick.seq == entry["seq"]
    clean = text.encode("utf-8", "replace").decode()
    carried = max(texts_in(entry), key=lambda found: found.startswith(clean[:3]) * len(found))
    assert carried == (clean if len(clean) <= MAX_TEXT else f"{clean[:MAX_TEXT]}…(+{len(clean) - MAX_TEXT})")


@pytest.mark.parametrize("place", ["reason", "field"])
def test_the_mark_tells_how_much_is_missing(place: str) -> None:
    assert b"(+1047552)" in encode_entry(event("a" * (1 << 20), place), PLACE)
