"""Group commit for a server: what queued while the last commit ran goes into the next one.

One thread owns the writing connection. A unit is answered only after the commit that holds it; a full queue refuses
at once instead of growing.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any, Final, TypeVar

from swarmsec.errors import KeyUnavailable, Unavailable
from swarmsec.storage.errors import DiskHung
from swarmsec.storage.store import Outcome, Store, Unit

T = TypeVar("T")
MAX_GROUP: Final = 128
MAX_QUEUE: Final = 4096


class GroupWriter:
    """Runs units of many callers, several to a transaction.

    Args:
        store: whose writing connection the thread takes over.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queue: queue.Queue[tuple[Unit[Any], Future[Any]] | None] = queue.Queue(MAX_QUEUE)
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._closed = False
        self._failure: Unavailable | None = None
        self._hung: DiskHung | None = None
        self._group: list[tuple[Unit[Any], Future[Any]]] = []

    @property
    def failure(self) -> Unavailable | None:
        """What kept the newest group from being written, or None if it was."""
        return self._hung or self._failure

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    async def write(self, unit: Unit[T]) -> T:
        """Run a unit and return its value once it is durable.

        Raises:
            Unavailable: the queue is full or the writer is closed.
            what the unit raises.
        """
        if self._hung is not None:
            raise self._hung
        future: Future[T] = Future()
        if self._closed:
            raise Unavailable("the server is stopping", hint="ask another server, or again in a moment")
        try:
            self._queue.put_nowait((unit, future))
        except queue.Full:
            raise Unavailable("too many writes are waiting", hint="try again in a moment") from None
        return await asyncio.wrap_future(future)

    def fail_hung(self, seconds: int) -> None:
        """Where the disk does not answer, answer everybody who waits for it; nobody waits until it does again.

        What is under way may still become durable; those who asked are told that this cannot be told.
        """
        try:
            self._store.verify_answering(seconds)
        except DiskHung as error:
            self._hung = self._failure = error
            for _, future in self._group:
                _settle(future, Outcome(error=error))
            self._fail_queued(error)
        else:
            self._hung = None

    def _fail_queued(self, error: DiskHung) -> None:
        while True:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return
            if item is None:
                self._queue.put(None)
                return
            _settle(item[1], Outcome(error=error))

    def close(self, patience: float | None = None) -> None:
        """Finish what is queued and end the thread.

        Args:
            patience: how many seconds to wait for that; for ever without it.
        """
        self._closed = True
        self._queue.put(None)
        self._thread.join(patience)

    def _run(self) -> None:
        while True:
            group = self._group = list(self._next_group())
            if not group:
                return
            outcomes = self._store.write_group([unit for unit, _ in group])
            errors = (outcome.error for outcome in outcomes)
            # A key that is away keeps a unit from its end, and says nothing of the store.
            failures = (error for error in errors if not isinstance(error, KeyUnavailable))
            self._failure = next((error for error in failures if isinstance(error, Unavailable)), None)
            for (_, future), outcome in zip(group, outcomes, strict=True):
                _settle(future, outcome)

    def _next_group(self) -> Iterator[tuple[Unit[Any], Future[Any]]]:
        """The next item and what waits behind it; nothing once the queue was closed and is empty."""
        taken = 0
        while taken < MAX_GROUP:
            try:
                item = self._queue.get(block=taken == 0)
            except queue.Empty:
                return
            if item is None:
                # The end stays in the queue until a call finds nothing before it.
                if taken:
                    self._queue.put(None)
                return
            taken += 1
            yield item


def _settle(future: Future[Any], outcome: Outcome) -> None:
    with suppress(InvalidStateError):
        if outcome.error is not None:
            future.set_exception(outcome.error)
        else:
            future.set_result(outcome.value)
