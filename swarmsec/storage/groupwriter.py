"""Group commit for a server: what queued while the last commit ran goes into the next one.

One thread owns the writing connection. A unit is answered only after the commit that holds it; a full queue refuses
at once instead of growing. A unit whose caller went away before it began is not run any more: nobody would learn of
what it did.

A group has costs of its own: a transaction, a sync, and the turns at the interpreter that two threads take. So the
event loop gathers units for as long as it finds other requests to read meanwhile, and hands them over together, as it
is told of their outcomes together. A unit that is alone waits for two rounds of an idle loop, some microseconds; one
in a crowd waits for ``GATHER_SECONDS`` at most.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, TypeVar

from swarmsec.errors import Changed, KeyUnavailable, Unavailable
from swarmsec.gathering import Gathering
from swarmsec.storage.errors import DiskHung
from swarmsec.storage.foreseen import Look
from swarmsec.storage.grouprun import Outcome
from swarmsec.storage.store import Store, Unit
from swarmsec.storage.transaction import Transaction

T = TypeVar("T")
MAX_GROUP: Final = 128
MAX_QUEUE: Final = 4096
GATHER_SECONDS: Final = 0.02


@dataclass(slots=True)
class _Waiting:
    """A unit, and the future of the loop that waits for its outcome."""

    unit: Unit[Any]
    future: asyncio.Future[Any]
    looks: Sequence[Look]
    is_answered: bool = False
    _is_begun: bool = False
    _claim: threading.Lock = field(default_factory=threading.Lock)
    """Taken once: by the thread that begins the unit, or by those who want it no more."""

    def begun(self) -> Unit[Any]:
        """The unit, unless somebody has withdrawn it; from here on nobody can. Again, where its group is run again."""
        if not self._is_begun:
            if not self.withdraw():
                return _unwanted
            self._is_begun = True
        return self.unit

    def withdraw(self) -> bool:
        """Keep the unit from being begun by anybody else; False where it was begun or withdrawn already."""
        return self._claim.acquire(blocking=False)


def _unwanted(_: Transaction) -> NoReturn:
    raise Changed("nobody waits for this any more")


class _Beginning(Collection[Unit[Any]]):
    """The units of a group, each of which begins when it is taken out."""

    def __init__(self, group: Sequence[_Waiting]) -> None:
        self._group = group

    def __len__(self) -> int:
        return len(self._group)

    def __iter__(self) -> Iterator[Unit[Any]]:
        return (waiting.begun() for waiting in self._group)

    def __contains__(self, unit: object) -> bool:
        return any(waiting.unit is unit for waiting in self._group)


class GroupWriter:
    """Runs units of many callers, several to a transaction.

    Args:
        store: whose writing connection the thread takes over.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queue: queue.SimpleQueue[Sequence[_Waiting] | None] = queue.SimpleQueue()
        self._gathering: Gathering[_Waiting] = Gathering(self._queue_up, most=MAX_GROUP, seconds=GATHER_SECONDS)
        self._unanswered = 0
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._closed = False
        self._failure: Unavailable | None = None
        self._hung: DiskHung | None = None
        self._group: list[_Waiting] = []

    @property
    def failure(self) -> Unavailable | None:
        """What kept the newest group from being written, or None if it was."""
        return self._hung or self._failure

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    async def write(self, unit: Unit[T], looks: Sequence[Look] = ()) -> T:
        """Run a unit and return its value once it is durable; cancelled before it began, the unit is not run.

        Args:
            looks: what the unit will look for, as far as it is known; a group's are asked for together.

        Raises:
            Unavailable: the queue is full or the writer is closed.
            what the unit raises.
        """
        if self._hung is not None:
            raise self._hung
        if self._closed:
            raise Unavailable("the server is stopping", hint="ask another server, or again in a moment")
        if self._unanswered >= MAX_QUEUE:
            raise Unavailable("too many writes are waiting", hint="try again in a moment")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        waiting = _Waiting(unit, future, looks)
        self._unanswered += 1
        self._gathering.add(waiting)
        try:
            return await future
        except asyncio.CancelledError:
            waiting.withdraw()
            raise

    def _queue_up(self, gathered: Sequence[_Waiting]) -> None:
        for start in range(0, len(gathered), MAX_GROUP):
            self._queue.put(gathered[start : start + MAX_GROUP])

    def fail_hung(self, seconds: int) -> None:
        """Where the disk does not answer, answer everybody who waits for it; nobody waits until it does again.

        What has begun may still become durable; those who asked are told that this cannot be told.
        """
        try:
            self._store.verify_answering(seconds)
        except DiskHung as error:
            self._hung = self._failure = error
            self._gathering.hand_over()
            told = (*self._group, *self._take_queued())
            for waiting in told:
                waiting.withdraw()
            self._tell((waiting, Outcome(error=error)) for waiting in told)
        else:
            self._hung = None

    def _take_queued(self) -> Iterator[_Waiting]:
        while True:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return
            if item is None:
                self._queue.put(None)
                return
            yield from item

    def close(self, patience: float | None = None) -> None:
        """Finish what is queued and end the thread.

        Args:
            patience: how many seconds to wait for that; for ever without it.
        """
        self._closed = True
        self._gathering.hand_over()
        self._queue.put(None)
        self._thread.join(patience)

    def _run(self) -> None:
        while True:
            group = self._group = list(self._next_group())
            if not group:
                return
            looks = [look for waiting in group for look in waiting.looks]
            outcomes = self._store.write_group(_Beginning(group), looks)
            errors = (outcome.error for outcome in outcomes)
            # A key that is away keeps a unit from its end, and says nothing of the store.
            failures = (error for error in errors if not isinstance(error, KeyUnavailable))
            self._failure = next((error for error in failures if isinstance(error, Unavailable)), None)
            self._tell(zip(group, outcomes, strict=True))

    def _next_group(self) -> Iterator[_Waiting]:
        """What was handed over, and what waits behind it; nothing once the queue was closed and is empty."""
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
            taken += len(item)
            yield from item

    def _tell(self, outcomes: Iterable[tuple[_Waiting, Outcome]]) -> None:
        """Hand outcomes to the loops that wait for them, one word to each."""
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Waiting, Outcome]]] = {}
        for waiting, outcome in outcomes:
            by_loop.setdefault(waiting.future.get_loop(), []).append((waiting, outcome))
        for loop, told in by_loop.items():
            # A loop that is closed has nobody left who waits.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._settle, told)

    def _settle(self, told: Sequence[tuple[_Waiting, Outcome]]) -> None:
        for waiting, outcome in told:
            if not waiting.is_answered:
                waiting.is_answered = True
                self._unanswered -= 1
            if waiting.future.done():
                continue
            if outcome.error is not None:
                waiting.future.set_exception(outcome.error)
            else:
                waiting.future.set_result(outcome.value)
