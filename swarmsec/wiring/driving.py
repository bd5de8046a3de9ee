"""The secret driver over a home: requests of the engine in, values or refusals out, within half a second.

NOTE: while a node's stream of assignments begins, SwarmKit waits for the driver with its store locked for writing. A
driver that hangs stops every change of the Swarm. So whatever is behind it (the manager's API, the store) gets a share
of half a second, and then the answer is a refusal. The task fails, and Docker's restart policy makes another one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from swarmsec.audit.entry import Actor, Event
from swarmsec.docker.secret_driver import answer_with, answer_with_error, parse_secret_request
from swarmsec.errors import Denied as DeniedError
from swarmsec.errors import SwarmsecError, Unavailable, describe
from swarmsec.keys.signers import SealedKeys
from swarmsec.services.deliver_secret import Delivery, deliver_secret, refuse_delivery
from swarmsec.services.delivery_ports import TaskChecker
from swarmsec.services.delivery_records import CheckedTask, SecretRequest
from swarmsec.services.issue_task_secret import TaskIssuing
from swarmsec.services.ports import Transaction
from swarmsec.services.requester import Requester
from swarmsec.storage.groupwriter import GroupWriter

ANSWER_SECONDS: Final = 0.45
"""From the last byte of a request to the first of its answer; the contract says 0.5."""
MANAGER_SECONDS: Final = 0.2
"""How long one answer of the manager's API may take."""
MAX_CHECKS: Final = 8
"""Requests that are held against the manager at one time."""
MAX_WAITING: Final = 512
RECORD_SECONDS: Final = 2.0
"""How long a driver that is told to stop waits for the entries of its last refusals."""
_UNREADABLE: Final = SecretRequest(
    secret_name="",
    secret_labels={},
    service_id="",
    service_name="",
    service_labels={},
    task_id="",
    task_name="",
    task_image="",
    node_id="",
)
"""What is known of a request that could not be read."""

Report = Callable[[str], None]
"""Takes a line for the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverParts:
    """What a driver works with."""

    writer: GroupWriter
    keys: SealedKeys
    checker: TaskChecker
    requires_node_certificate: bool
    load: Callable[[], object]
    """Reads once what every decision reads."""
    report: Report
    issuing: TaskIssuing | None = None
    """For secrets under ``pki/``."""


class SecretDriver:
    """Answers requests for secrets.

    Args:
        parts: the open home and the manager.
    """

    def __init__(self, parts: DriverParts) -> None:
        self._parts = parts
        self._requester = Requester(actor=Actor(type="service", id="driver"))
        self._checks = ThreadPoolExecutor(MAX_CHECKS, thread_name_prefix="manager")
        self._waiting = 0
        self._recording: set[asyncio.Task[None]] = set()

    async def warm_up(self) -> None:
        """Load what the first request would wait for; a manager that does not answer yet is said and no failure."""
        loop = asyncio.get_running_loop()
        try:
            await asyncio.gather(
                *(loop.run_in_executor(self._checks, self._parts.checker.warm_up) for _ in range(MAX_CHECKS)),
                loop.run_in_executor(None, self._parts.load),
            )
        except SwarmsecError as error:
            self._parts.report(f"{error}; tasks get no secrets until it does")

    async def answer(self, body: bytes) -> bytes:
        """The body of a request in, the body of its answer out."""
        try:
            request = parse_secret_request(body)
        except SwarmsecError as error:
            return self._refused(_UNREADABLE, error)
        if self._waiting >= MAX_WAITING:
            return self._refused(request, Unavailable("too many requests are waiting"))
        self._waiting += 1
        try:
            delivery = await asyncio.wait_for(self._deliver(request), ANSWER_SECONDS)
        except TimeoutError:
            return self._refused(request, Unavailable("the manager or the store did not answer in time"))
        except DeniedError as error:
            return self._refused(request, error, is_recorded=True)
        except Exception as error:  # noqa: BLE001  # the engine gets an answer whatever happens here
            return self._refused(request, error)
        finally:
            self._waiting -= 1
        answer = answer_with(delivery.value)
        delivery.value.wipe()
        return answer

    async def close(self) -> None:
        """Put on record what is still to be recorded, within a moment, and wait for no check any more."""
        if self._recording:
            _, unwritten = await asyncio.wait(self._recording, timeout=RECORD_SECONDS)
            for task in unwritten:
                task.cancel()
        self._checks.shutdown(wait=False, cancel_futures=True)

    async def _deliver(self, request: SecretRequest) -> Delivery:
        loop = asyncio.get_running_loop()
        try:
            task: CheckedTask = await loop.run_in_executor(self._checks, self._parts.checker.check, request)
        except SwarmsecError as error:
            refusal = refuse_delivery(request, error, self._requester)
            await self._parts.writer.write(lambda transaction: transaction.log(refusal.event))
            raise refusal.error from None

        def unit(transaction: Transaction) -> Delivery:
            return deliver_secret(
                transaction,
                self._parts.keys,
                request,
                task,
                self._requester,
                requires_node_certificate=self._parts.requires_node_certificate,
                issuing=self._parts.issuing,
            )

        return await self._parts.writer.write(unit)

    def _refused(self, request: SecretRequest, error: Exception, *, is_recorded: bool = False) -> bytes:
        """Word a refusal. One for want of time is answered at once, and its entry follows."""
        text = describe(error).text
        self._parts.report(f"refused {request.secret_name or 'a request'} to task {request.task_id or '?'}: {text}")
        if not is_recorded:
            self._record(request, text)
        return answer_with_error(f"swarmsec: {text}")

    def _record(self, request: SecretRequest, text: str) -> None:
        if len(self._recording) >= MAX_WAITING:
            self._parts.report("too many refusals wait for the log; this one is told here alone")
            return
        event = refuse_delivery(request, Unavailable(text), self._requester).event
        task = asyncio.create_task(self._write(event))
        self._recording.add(task)
        task.add_done_callback(self._recording.discard)

    async def _write(self, event: Event) -> None:
        try:
            await self._parts.writer.write(lambda transaction: transaction.log(event))
        except Exception as error:  # noqa: BLE001  # nobody waits for this; it is said where the operator looks
            self._parts.report(f"a refusal could not be logged: {describe(error).text}")
