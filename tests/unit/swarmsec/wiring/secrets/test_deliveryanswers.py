"""Answers of a server to a driver: each read for itself, and none used where one cannot be meant."""

from __future__ import annotations

import base64
import json

import pytest

from swarmsec.errors import Unavailable
from swarmsec.services.secrets.deliver_secret import DeliveryDenied
from swarmsec.services.secrets.delivery_records import HandedOver, RefusalKind
from swarmsec.wiring.secrets.deliveryanswers import MAX_VALUE, Answer, error_message, parse_answers

MARKER = "marker-31f0"
VALUE = {"value": base64.b64encode(MARKER.encode()).decode(), "entry": 7}


def answers(*items: object) -> bytes:
    return json.dumps({"answers": items}).encode()


def test_each_answer_is_read_for_itself() -> None:
    refused = {"refused": "no rule\u001b allows it", "kind": "policy"}
    found = parse_answers(answers(VALUE, refused, {"undecided": "the store is locked"}), 3)
    assert [described(answer) for answer in found] == [
        (MARKER, 7),
        ("no rule allows it", RefusalKind.POLICY),
        ("the store is locked", None),
    ]


def described(answer: Answer) -> tuple[str, object]:
    if isinstance(answer, HandedOver):
        return answer.value.reveal().decode(), answer.entry
    return str(answer), answer.refusal if isinstance(answer, DeliveryDenied) else None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        answers(),
        answers(VALUE, VALUE),
        answers(VALUE | {"more": 1}),
        answers(VALUE | {"entry": True}),
        answers(VALUE | {"entry": -1}),
        answers(VALUE | {"value": ""}),
        answers(VALUE | {"value": f"{VALUE['value']}\n"}),
        answers(VALUE | {"value": base64.b64encode(b"x" * (MAX_VALUE + 1)).decode()}),
        answers({"value": VALUE["value"]}),
        answers({"refused": "r", "kind": "mood"}),
        answers({"refused": "r", "kind": "late", "value": VALUE["value"]}),
        answers({"undecided": 7}),
        answers(MARKER),
        answers(VALUE).replace(b'"entry"', b'"value": "eA==", "entry"'),
    ],
)
def test_what_is_no_such_answer_gives_nothing_and_quotes_nothing(data: bytes) -> None:
    with pytest.raises(Unavailable, match=r"^expected 1 answers to deliveries, got something else$"):
        parse_answers(data, 1)


def test_the_longest_value_comes_through() -> None:
    item = {"value": base64.b64encode(b"x" * MAX_VALUE).decode(), "entry": 0}
    (found,) = parse_answers(answers(item), 1)
    assert isinstance(found, HandedOver)
    assert len(found.value) == MAX_VALUE


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"error":{"message":"m\\u001b[2J","hint":"h"}}', "m[2J; h"),
        (b'{"error":{"message":"m","hint":null}}', "m"),
        (b'{"error":"text"}', ""),
        (b"<html>", ""),
    ],
)
def test_a_servers_words_are_printable(data: bytes, words: str) -> None:
    assert error_message(data) == words
