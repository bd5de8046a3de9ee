"""Asking the manager about tasks: one question for all requests that wait at the same time.

While a question is under way, requests that arrive gather for the next one, so that a manager is asked as often as it
answers, however many tasks start. A question is only asked after every request that it is for has arrived; no answer is
kept.

A manager that hangs must stop none but those who wait for its answer: where a question takes longer than
``PATIENCE_SECONDS``, the next one goes over another connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from swarmsec.errors import SwarmsecError
from swarmsec.services.delivery_ports import TaskChecker
from swarmsec.services.delivery_records import CheckedTask, SecretRequest

MAX_QUESTIONS: Final = 8
"""Questions that are under way at one time."""
MAX_TOGETHER: Final = 64
"""Tasks in one question; their ids take some three kilobytes of its first line."""
PATIENCE_SECONDS: Final = 0.02
_Waiting = tuple[SecretRequest, asyncio.Future[CheckedTask]]


class TaskQuestions:
    """Holds requests against the manager, for one event loop.

    Args:
        checker: asks it; called in threads.
    """

    def __init__(self, checker: TaskChecker) -> None:
        self._checker = checker
        self._threads = ThreadPoolExecutor(MAX_QUESTIONS, thread_name_prefix="manager")
        self._waiting: deque[_Waiting] = deque()
        self._under_way: set[asyncio.Future[Sequence[CheckedTask | SwarmsecError]]] = set()
        self._ready = True
        self._is_due = False

    async def warm_up(self) -> None:
        """Open the connections.

        Raises:
            Unavailable: the manager does not answer yet.
        """
        loop = asyncio.get_running_loop()
        await asyncio.gather(
            *(loop.run_in_executor(self._threads, self._checker.warm_up) for _ in range(MAX_QUESTIONS))
        )

    async def check(self, request: SecretRequest) -> CheckedTask:
        """Find the task that a request names.

        Raises:
            SwarmsecError: as ``TaskChecker`` says.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[CheckedTask] = loop.create_future()
        self._waiting.append((request, future))
        if not self._is_due:
            self._is_due = True
            # What else the loop reads in this round comes along.
            loop.call_soon(self._ask_due)
        return await future

    def close(self) -> None:
        """Ask nothing more, and wait for no answer."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ask_due(self) -> None:
        self._is_due = False
        self._ask()

    def _ask(self) -> None:
        if not self._ready or len(self._under_way) >= MAX_QUESTIONS:
            return
        together: list[_Waiting] = []
        while self._waiting and len(together) < MAX_TOGETHER:
            waiting = self._waiting.popleft()
            # Whoever was refused meanwhile, because it took too long, is asked about no more.
            if not waiting[1].done():
                together.append(waiting)
        if together:
            self._begin(together)

    def _begin(self, together: Sequence[_Waiting]) -> None:
        loop = asyncio.get_running_loop()
        question = loop.run_in_executor(self._threads, self._checker.check, [request for request, _ in together])
        self._under_way.add(question)
        self._ready = False
        losing_patience = loop.call_later(PATIENCE_SECONDS, self._go_on)

        def end(answered: asyncio.Future[Sequence[CheckedTask | SwarmsecError]]) -> None:
            losing_patience.cancel()
            self._under_way.discard(answered)
            _tell(together, answered)
            self._go_on()

        question.add_done_callback(end)

    def _go_on(self) -> None:
        self._ready = True
        self._ask()


def _tell(together: Sequence[_Waiting], answered: asyncio.Future[Sequence[CheckedTask | SwarmsecError]]) -> None:
    """Give everybody their own part of an answer, or what kept all of them from one."""
    if answered.cancelled():
        for _, future in together:
            future.cancel()
        return
    error = answered.exception()
    found = [error] * len(together) if error is not None else answered.result()
    for (_, future), item in zip(together, found, strict=True):
        if future.done():
            continue
        if isinstance(item, BaseException):
            future.set_exception(item)
        else:
            future.set_result(item)
