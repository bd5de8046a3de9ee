"""The route of drivers elsewhere: until when a delivery may be decided."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import asdict

import pytest

from swarmsec.http import ANONYMOUS, Caller, Request, Response
from swarmsec.secretbytes import SecretBytes
from swarmsec.server.delivery_api import PATH, build_delivery_route
from swarmsec.services.secrets.delivery_records import CheckedTask, HandedOver, RefusalKind, SecretRequest
from tests.unit.swarmsec.services.secrets.test_deliver_secret import REQUEST, TASK

WITHIN_MS = 400


class Deciding:
    """Gives every task a value, and remembers until when it was asked for."""

    def __init__(self) -> None:
        self.until: list[float] = []

    async def deliver(
        self, caller: Caller, request: SecretRequest, task: CheckedTask, until: float, request_id: str
    ) -> HandedOver:
        self.until.append(until)
        return HandedOver(value=SecretBytes(b"x"), entry=1)

    async def refuse(
        self,
        caller: Caller,
        request: SecretRequest,
        reason: str,
        kind: RefusalKind,
        request_id: str,
        *,
        takes_back: int | None = None,
    ) -> None:
        raise AssertionError(reason)


@pytest.mark.parametrize("waited", [0.0, 30.0])
def test_what_waited_for_a_place_is_wanted_no_longer_for_that(waited: float) -> None:
    deciding = Deciding()
    one = {"request": asdict(REQUEST), "task": asdict(TASK), "within_ms": WITHIN_MS}
    began = time.monotonic() - waited
    request = Request(
        method="POST",
        path=PATH,
        caller=Caller(role=ANONYMOUS, name="", address="127.0.0.1"),
        request_id="1",
        began=began,
        body=json.dumps({"deliveries": [one, one]}).encode(),
    )

    async def ask() -> Response:
        return await build_delivery_route(deciding).handler(request)

    answer = asyncio.run(ask())
    assert json.loads(answer.body)["answers"] == [{"value": "eA==", "entry": 1}] * 2
    assert deciding.until == [began + WITHIN_MS / 1000] * 2
