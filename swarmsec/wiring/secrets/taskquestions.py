"""Asking the manager about tasks: one question for all requests that wait at the same time (``sharedquestions``).

A question that hangs has its connection and thread to itself, and the next one goes over others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from swarmsec.errors import SwarmsecError
from swarmsec.services.secrets.delivery_ports import TaskChecker
from swarmsec.services.secrets.delivery_records import CheckedTask, SecretRequest
from swarmsec.wiring.secrets.sharedquestions import Bounds, SharedQuestions

MAX_QUESTIONS: Final = 8
"""Questions that are under way at one time."""
MAX_TOGETHER: Final = 64
"""Tasks in one question; their ids take some three kilobytes of its first line."""


class TaskQuestions:
    """Holds requests against the manager, for one event loop.

    Args:
        checker: asks it; called in threads.
    """

    def __init__(self, checker: TaskChecker) -> None:
        self._checker = checker
        self._threads = ThreadPoolExecutor(MAX_QUESTIONS, thread_name_prefix="manager")
        self._questions: SharedQuestions[SecretRequest, CheckedTask] = SharedQuestions(
            self._ask, Bounds(questions=MAX_QUESTIONS, together=MAX_TOGETHER)
        )

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
        return await self._questions.ask(request)

    def close(self) -> None:
        """Ask nothing more, and wait for no answer."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ask(self, requests: Sequence[SecretRequest]) -> asyncio.Future[Sequence[CheckedTask | SwarmsecError]]:
        return asyncio.get_running_loop().run_in_executor(self._threads, self._checker.check, requests)
