"""What a server answers to a driver, read strictly: one answer for each delivery that was asked for, in order.

A value that came with anything unexpected beside it is not used: no answer counts where one of them cannot be meant.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Final

from notary.errors import InvalidMetadata
from notary.strictjson import parse_strict
from swarmsec.errors import Unavailable
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.secrets.deliver_secret import DeliveryDenied
from swarmsec.services.secrets.delivery_records import HandedOver, RefusalKind
from swarmsec.wiring.nodes.authorityclient import printable

MAX_VALUE: Final = 511_999
MAX_ANSWER: Final = 700_000
"""Bytes of one answer: a value in base64 takes 682,668."""
Answer = HandedOver | DeliveryDenied | Unavailable
"""A value; why the task gets none, which is on record; or why nothing could be decided, which is not."""


def parse_answers(data: bytes, count: int) -> Sequence[Answer]:
    """Read the answers to so many deliveries.

    Raises:
        Unavailable: it is something else.
    """
    try:
        listed = parse_strict(data, limit=MAX_ANSWER * count)
        if set(listed) != {"answers"} or not isinstance(listed["answers"], list) or len(listed["answers"]) != count:
            raise ValueError
        return [_answer(item) for item in listed["answers"]]
    except (InvalidMetadata, ValueError):
        # NOTE: no word of what was found: it may be a part of a value.
        raise Unavailable(f"expected {count} answers to deliveries, got something else") from None


def _answer(members: object) -> Answer:
    match members:
        case {"value": str(value), "entry": int(entry), **more} if not more and type(entry) is int and entry >= 0:
            return HandedOver(value=SecretBytes(_value(value)), entry=entry)
        case {"refused": str(reason), "kind": str(kind), **more} if not more:
            return DeliveryDenied(printable(reason), RefusalKind(kind))
        case {"undecided": str(reason), **more} if not more:
            return Unavailable(printable(reason))
    raise ValueError


def _value(text: str) -> bytes:
    try:
        value = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError from None
    if not 1 <= len(value) <= MAX_VALUE:
        raise ValueError
    return value


def error_message(data: bytes) -> str:
    """What a server says in an error, fit to be printed, with what to do; empty where it says nothing."""
    try:
        error = parse_strict(data, limit=MAX_ANSWER).get("error")
    except InvalidMetadata:
        return ""
    if not isinstance(error, dict):
        return ""
    return "; ".join(filter(None, (printable(error.get(name)) for name in ("message", "hint"))))
