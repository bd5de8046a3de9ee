"""Targets of what a secret driver and a server say to each other."""

from __future__ import annotations

import json

from swarmsec.errors import Unavailable, UsageProblem
from swarmsec.server.delivery_api import parse_deliveries
from swarmsec.services.secrets.delivery_records import MAX_TOGETHER, HandedOver
from swarmsec.wiring.secrets.deliveryanswers import error_message, parse_answers
from tests.fuzz.engine import CheckFailed, Target

_ASKED = {
    "secret_name": "team.app.db",
    "secret_labels": {"io.swarmsec.name": "team/app/db"},
    "service_id": "s1",
    "service_name": "shop",
    "service_labels": {},
    "task_id": "t1",
    "task_name": "shop.1.t1",
    "task_image": "busybox",
    "node_id": "n1",
}
_CHECKED = {
    "task_id": "t1",
    "service_id": "s1",
    "service_name": "shop",
    "service_labels": {},
    "image": "busybox",
    "node_id": "n1",
    "hostname": "m1",
}
_DELIVERIES = json.dumps(
    {
        "deliveries": [
            {"request": _ASKED, "task": _CHECKED, "within_ms": 400},
            {"request": _ASKED, "refused": {"reason": "r", "kind": "late"}},
        ]
    }
).encode()
_WORDS = (b'"', b"{}", b"[]", b",", b":", b"null", b"true", b"-1", b"1e400", b'"\\ud800"')


def _deliveries(data: bytes) -> None:
    asked = parse_deliveries(data)
    if not 1 <= len(asked) <= MAX_TOGETHER:
        raise CheckFailed("expected some, and not too many")
    for one in asked:
        if isinstance(one, UsageProblem):
            continue
        if (one.task is None) == (one.refused is None) or len(one.request.task_id) > 64 or not 0 <= one.within <= 60:
            raise CheckFailed("expected one of the two, a short id and a bounded time")


def _delivery_answers(data: bytes) -> None:
    for answer in parse_answers(data, 2):
        if isinstance(answer, HandedOver) and not (len(answer.value) and answer.entry >= 0):
            raise CheckFailed("expected a value and the number of its entry")
        if isinstance(answer, Exception) and not (str(answer) + " ").isprintable():
            raise CheckFailed("expected printable words")


def _error_message(data: bytes) -> None:
    message = error_message(data)
    if not (message + " ").isprintable() or len(message) > 1_010:
        raise CheckFailed("expected a short printable text")


TARGETS = (
    Target(
        name="deliveries",
        run=_deliveries,
        seeds=(
            _DELIVERIES,
            _DELIVERIES.replace(b'"within_ms": 400', b'"within_ms": -1'),
            _DELIVERIES.replace(b'"reason"', b'"takes_back": 7, "reason"'),
            b"{}",
        ),
        allowed=(UsageProblem,),
        covers=("swarmsec.server.delivery_api.parse_deliveries",),
        words=(*_WORDS, b'"task":', b'"refused":{"kind":"late","reason":""}', b'"within_ms":', b"null"),
    ),
    Target(
        name="delivery-answers",
        run=_delivery_answers,
        seeds=(
            b'{"answers":[{"value":"eA==","entry":7},{"refused":"no rule allows it","kind":"policy"}]}',
            b'{"answers":[{"undecided":"the store is locked"},{"value":"","entry":true}]}',
        ),
        allowed=(Unavailable,),
        covers=("swarmsec.wiring.secrets.deliveryanswers.parse_answers",),
        words=(*_WORDS, b'"value":', b'"refused":', b'"kind":"late"', b'"entry":-1', b"="),
    ),
    Target(
        name="delivery-error",
        run=_error_message,
        seeds=(b'{"error":{"code":"invalid","message":"m","hint":"h"}}', b'{"error":{"message":7,"hint":null}}'),
        allowed=(),
        covers=("swarmsec.wiring.secrets.deliveryanswers.error_message",),
        words=(*_WORDS, b'"error":', b'"message":"\\u001b"'),
    ),
)
