"""Work that a server does again and again beside its loop: in a thread of its own, for it may wait for Docker.

What it writes goes through the server's one writing thread, as everything does.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from swarmsec.services.ports import Transaction
from swarmsec.storage.groupwriter import GroupWriter
from swarmsec.storage.store import Store

T = TypeVar("T")


class WrittenStore:
    """A store that is written through its server's one writing thread, for threads beside the loop.

    Args:
        store, writer: of the server.
        loop: that the writer is asked on.
    """

    def __init__(self, store: Store, writer: GroupWriter, loop: asyncio.AbstractEventLoop) -> None:
        self._store = store
        self._writer = writer
        self._loop = loop

    def read(self, unit: Callable[[Transaction], T]) -> T:
        """Run a unit that only reads."""
        return self._store.read(unit)

    def write(self, unit: Callable[[Transaction], T]) -> T:
        """Run a unit and return its value once it is durable."""
        return asyncio.run_coroutine_threadsafe(self._writer.write(unit), self._loop).result()

    def truncate_write_ahead_log(self) -> bool:
        """Leave no erased row behind in SQLite's write-ahead log."""
        return self._store.truncate_write_ahead_log()


class Rounds:
    """Rounds of one kind of work, until it is to stop.

    Args:
        name: of the thread.
        store, writer: of the server.
    """

    def __init__(self, name: str, store: Store, writer: GroupWriter) -> None:
        self._store = store
        self._writer = writer
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)
        self.stopping = threading.Event()
        """What a round that takes long looks at, to leave the rest to the next server."""

    async def keep_up(self, work: Callable[[WrittenStore], None], seconds: float) -> None:
        """Do a round every so many seconds, for ever."""
        loop = asyncio.get_running_loop()
        store = WrittenStore(self._store, self._writer, loop)
        while True:
            await loop.run_in_executor(self._pool, work, store)
            await asyncio.sleep(seconds)

    async def close(self) -> None:
        """Stop, and wait for the round that is under way."""
        self.stopping.set()
        await asyncio.to_thread(self._pool.shutdown, wait=True)
