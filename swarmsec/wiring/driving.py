"""The secret driver: requests of the engine in, values or refusals out, within half a second.

NOTE: while a node's stream of assignments begins, SwarmKit waits for the driver with its store locked for writing. A
driver that hangs stops every change of the Swarm. So whatever is behind it (the manager's API, the store, a server)
gets a share of half a second, and then the answer is a refusal. The task fails, and Docker's restart policy makes
another one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from swarmsec.docker.secret_driver import answer_with, answer_with_error, parse_secret_request
from swarmsec.errors import Kind, NotFound, SwarmsecError, Unavailable, UsageProblem, describe
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.deliver_secret import DeliveryDenied
from swarmsec.services.delivery_ports import TaskChecker
from swarmsec.services.delivery_records import DELIVERED, CheckedTask, RefusalKind, SecretRequest
from swarmsec.wiring.taskquestions import TaskQuestions

ANSWER_SECONDS: Final = 0.45
"""From the last byte of a request to the first of its answer; the contract says 0.5."""
MANAGER_SECONDS: Final = 0.2
"""How long one answer of the manager's API may take."""
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
Count = Callable[[str, float], None]
"""Takes what became of a request, ``delivered`` or a ``RefusalKind``, and the seconds that it took."""


class Decisions(Protocol):
    """Decides over requests, by the records of a home that is here or behind a server.

    ``deliver`` raises ``DeliveryDenied`` for a refusal that is on record already, any other ``SwarmsecError`` for one
    that is not; ``refuse`` puts that on record.
    """

    async def deliver(self, request: SecretRequest, task: CheckedTask) -> SecretBytes: ...
    async def refuse(self, request: SecretRequest, reason: str, kind: RefusalKind) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverParts:
    """What a driver works with."""

    decisions: Decisions
    checker: TaskChecker
    load: Callable[[], object]
    """Reads once what every decision reads."""
    report: Report
    count: Count = field(default=lambda result, seconds: None)


class SecretDriver:
    """Answers requests for secrets.

    Args:
        parts: who decides, and the manager.
    """

    def __init__(self, parts: DriverParts) -> None:
        self._parts = parts
        self._questions = TaskQuestions(parts.checker)
        self._waiting = 0
        self._recording: set[asyncio.Task[None]] = set()

    async def warm_up(self) -> None:
        """Load what the first request would wait for; a manager that does not answer yet is said and no failure."""
        loop = asyncio.get_running_loop()
        try:
            await asyncio.gather(self._questions.warm_up(), loop.run_in_executor(None, self._parts.load))
        except SwarmsecError as error:
            self._parts.report(f"{error}; tasks get no secrets until it does")

    async def answer(self, body: bytes) -> bytes:
        """The body of a request in, the body of its answer out."""
        began = time.monotonic()
        result, answer = await self._answer(body)
        self._parts.count(result, time.monotonic() - began)
        return answer

    async def _answer(self, body: bytes) -> tuple[str, bytes]:
        try:
            request = parse_secret_request(body)
        except SwarmsecError as error:
            return self._refused(_UNREADABLE, error, RefusalKind.REQUEST)
        if self._waiting >= MAX_WAITING:
            return self._refused(request, Unavailable("too many requests are waiting"), RefusalKind.LATE)
        self._waiting += 1
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                value = await self._deliver(request)
        except TimeoutError:
            late = Unavailable("the manager or the store did not answer in time")
            return self._refused(request, late, RefusalKind.LATE)
        except DeliveryDenied as error:
            return self._refused(request, error, error.refusal, is_recorded=True)
        except Exception as error:  # noqa: BLE001  # the engine gets an answer whatever happens here
            return self._refused(request, error, _kind_of(error))
        finally:
            self._waiting -= 1
        answer = answer_with(value)
        value.wipe()
        return DELIVERED, answer

    async def close(self) -> None:
        """Put on record what is still to be recorded, within a moment, and wait for no check any more."""
        if self._recording:
            _, unwritten = await asyncio.wait(self._recording, timeout=RECORD_SECONDS)
            for task in unwritten:
                task.cancel()
        self._questions.close()

    async def _deliver(self, request: SecretRequest) -> SecretBytes:
        try:
            task = await self._questions.check(request)
        except (NotFound, UsageProblem) as error:
            await self._parts.decisions.refuse(request, str(error), RefusalKind.TASK)
            raise DeliveryDenied(str(error), RefusalKind.TASK) from None
        return await self._parts.decisions.deliver(request, task)

    def _refused(
        self, request: SecretRequest, error: Exception, kind: RefusalKind, *, is_recorded: bool = False
    ) -> tuple[str, bytes]:
        """Word a refusal. It is answered at once; where its entry is not written yet, that follows."""
        text = describe(error).text
        self._parts.report(f"refused {request.secret_name or 'a request'} to task {request.task_id or '?'}: {text}")
        if not is_recorded:
            self._record(request, text, kind)
        return kind.value, answer_with_error(f"swarmsec: {text}")

    def _record(self, request: SecretRequest, text: str, kind: RefusalKind) -> None:
        if len(self._recording) >= MAX_WAITING:
            self._parts.report("too many refusals wait for the log; this one is told here alone")
            return
        task = asyncio.create_task(self._write(request, text, kind))
        self._recording.add(task)
        task.add_done_callback(self._recording.discard)

    async def _write(self, request: SecretRequest, text: str, kind: RefusalKind) -> None:
        try:
            await self._parts.decisions.refuse(request, text, kind)
        except Exception as error:  # noqa: BLE001  # nobody waits for this; it is said where the operator looks
            self._parts.report(f"a refusal could not be logged: {describe(error).text}")


def _kind_of(error: Exception) -> RefusalKind:
    return RefusalKind.DEFECT if describe(error).kind is Kind.DEFECT else RefusalKind.UNAVAILABLE
