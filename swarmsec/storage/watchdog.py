"""Watching a process's steps to disk: a system call that never ends cannot be interrupted, but it can be told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from swarmsec.storage.errors import DiskHung
from swarmsec.storage.store import Store

TICK_SECONDS: Final = 0.5


class Watchdog:
    """Looks at a store's steps to disk from a thread of its own.

    Args:
        store: whose steps.
        seconds: how long one may take.
        tell: called once, in the thread, with what is to be said.
    """

    def __init__(self, store: Store, seconds: int, tell: Callable[[DiskHung], None]) -> None:
        self._store = store
        self._seconds = seconds
        self._tell = tell
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look; a second call changes nothing."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(TICK_SECONDS):
            try:
                self._store.verify_answering(self._seconds)
            except DiskHung as error:
                self._tell(error)
                return
