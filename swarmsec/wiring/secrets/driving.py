"""The secret driver: requests of the engine in, values or refusals out, within half a second.

NOTE: while a node's stream of assignments begins, SwarmKit waits for the driver with its store locked for writing. A
driver that hangs stops every change of the Swarm. So whatever is behind it (the manager's API, the store, a server)
gets a share of half a second, and then the answer is a refusal. The task fails, and Docker's restart policy makes
another one.

What is to be decided when nobody waits for it any more is refused by whoever decides, in the same entry. Only where an
entry was on its way to the disk meanwhile does it say that a value was delivered; then another one takes that back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from swarmsec.docker.secret_driver import answer_with, answer_with_error, parse_secret_request
from swarmsec.errors import Kind, NotFound, SwarmsecError, Unavailable, UsageProblem, describe
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.secrets.deliver_secret import DeliveryDenied
from swarmsec.services.secrets.delivery_ports import TaskChecker
from swarmsec.services.secrets.delivery_records import DELIVERED, CheckedTask, HandedOver, RefusalKind, SecretRequest
from swarmsec.wiring.secrets.taskquestions import TaskQuestions

ANSWER_SECONDS: Final = 0.45
"""From the last byte of a request to the first of its answer; the contract says 0.5."""
COMMIT_SECONDS: Final = 0.05
"""Of these, what is left for a decision to become durable and to come here."""
MANAGER_SECONDS: Final = 0.2
"""How long one answer of the manager's API may take."""
MAX_WAITING: Final = 512
RECORD_SECONDS: Final = 2.0
"""How long a driver that is told to stop waits for the entries of its last refusals."""
_LATE: Final = "the manager or the store did not answer in time"
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

    ``deliver`` raises ``DeliveryDenied`` for a refusal that is on record already, as is what comes to be decided after
    ``until`` (by ``time.monotonic``), and any other ``SwarmsecError`` for one that is not; ``refuse`` puts that on
    record, and may take back an entry that says that the value was delivered.
    """

    async def deliver(self, request: SecretRequest, task: CheckedTask, until: float) -> HandedOver: ...
    async def refuse(
        self, request: SecretRequest, reason: str, kind: RefusalKind, *, takes_back: int | None = None
    ) -> None: ...


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
            value = await self._deliver(request, time.monotonic() + ANSWER_SECONDS)
        except _Late as late:
            return self._refused(request, late, RefusalKind.LATE, is_recorded=late.is_followed)
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

    async def _deliver(self, request: SecretRequest, until: float) -> SecretBytes:
        attempt = _Attempt()
        deciding = asyncio.create_task(self._decide(request, until - COMMIT_SECONDS, attempt))
        await _ended(deciding, until)
        if deciding.done():
            return deciding.result().value
        is_followed = attempt.is_at_records
        if not is_followed or not self._begin_recording(self._follow(request, deciding)):
            deciding.cancel()
        raise _Late(is_followed=is_followed)

    async def _decide(self, request: SecretRequest, until: float, attempt: _Attempt) -> HandedOver:
        try:
            found = await self._questions.check(request)
        except (NotFound, UsageProblem) as error:
            attempt.is_at_records = True
            await self._parts.decisions.refuse(request, str(error), RefusalKind.TASK)
            raise DeliveryDenied(str(error), RefusalKind.TASK) from None
        attempt.is_at_records = True
        return await self._parts.decisions.deliver(request, found, until)

    async def _follow(self, request: SecretRequest, deciding: asyncio.Task[HandedOver]) -> None:
        """See to it that a decision that came too late is on record as the refusal that was answered."""
        try:
            handed = await deciding
        except DeliveryDenied:
            return
        except Exception:  # noqa: BLE001  # whatever kept it from being decided, it is not on record
            await self._write(request, _LATE, RefusalKind.LATE)
            return
        handed.value.wipe()
        reason = f"{_LATE}; what entry {handed.entry} says was delivered did not leave"
        await self._write(request, reason, RefusalKind.LATE, takes_back=handed.entry)

    def _refused(
        self, request: SecretRequest, error: Exception, kind: RefusalKind, *, is_recorded: bool = False
    ) -> tuple[str, bytes]:
        """Word a refusal. It is answered at once; where its entry is not written yet, that follows."""
        text = describe(error).text
        self._parts.report(f"refused {request.secret_name or 'a request'} to task {request.task_id or '?'}: {text}")
        if not is_recorded:
            self._begin_recording(self._write(request, text, kind))
        return kind.value, answer_with_error(f"swarmsec: {text}")

    def _begin_recording(self, work: Coroutine[Any, Any, None]) -> bool:
        """Go on with what nobody waits for; False where too much of it goes on already."""
        if len(self._recording) >= MAX_WAITING:
            work.close()
            self._parts.report("too many refusals wait for the log; this one is told here alone")
            return False
        task = asyncio.create_task(work)
        self._recording.add(task)
        task.add_done_callback(self._recording.discard)
        return True

    async def _write(
        self, request: SecretRequest, text: str, kind: RefusalKind, *, takes_back: int | None = None
    ) -> None:
        try:
            await self._parts.decisions.refuse(request, text, kind, takes_back=takes_back)
        except Exception as error:  # noqa: BLE001  # nobody waits for this; it is said where the operator looks
            self._parts.report(f"a refusal could not be logged: {describe(error).text}")


class _Attempt:
    """How far a request is: until the manager has answered, nothing of it can be on record."""

    __slots__ = ("is_at_records",)

    def __init__(self) -> None:
        self.is_at_records = False


async def _ended(task: asyncio.Task[HandedOver], until: float) -> None:
    """Wait until a task ends, or until a time by ``time.monotonic``; every delivery does, so with nothing beside it."""
    loop = asyncio.get_running_loop()
    waiter = loop.create_future()

    def wake(_: object = None) -> None:
        if not waiter.done():
            waiter.set_result(None)

    timer = loop.call_later(max(0.0, until - time.monotonic()), wake)
    task.add_done_callback(wake)
    try:
        await waiter
    finally:
        timer.cancel()
        task.remove_done_callback(wake)


class _Late(Unavailable):
    """No answer in time; ``is_followed`` says whether its record is seen to already."""

    def __init__(self, *, is_followed: bool) -> None:
        super().__init__(_LATE)
        self.is_followed = is_followed


def _kind_of(error: Exception) -> RefusalKind:
    return RefusalKind.DEFECT if describe(error).kind is Kind.DEFECT else RefusalKind.UNAVAILABLE
