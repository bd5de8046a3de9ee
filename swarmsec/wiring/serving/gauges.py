"""The metrics of what stands in the home, looked up once a minute; what an entry tells is taken up with the entry."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from swarmsec.server.metrics import Metrics
from swarmsec.services.homes.observe_home import BACKUP, last_backup, observe_home
from swarmsec.storage.store import Store

SECONDS: Final = 60.0


class HomeGauges:
    """Keeps the gauges of a home.

    Args:
        store: the home's.
        metrics: where they are shown.
    """

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics
        self._next = 0.0
        self._knows_backup = False

    async def observe(self) -> None:
        """Look, if a minute has passed."""
        now = asyncio.get_running_loop().time()
        if now < self._next:
            return
        self._next = now + SECONDS
        if not self._knows_backup:
            # The whole log may have to be read for it, so once; later backups are taken up as they come.
            self._metrics.last_backup.set(await asyncio.to_thread(self._store.read, last_backup))
            self._knows_backup = True
        signs = await asyncio.to_thread(self._store.read, observe_home)
        self._metrics.checkpoint_created.set(signs.checkpoint_created)
        self._metrics.checkpoint_size.set(signs.checkpoint_size)
        self._metrics.list_next_update.set(signs.list_next_update)
        self._metrics.rotation_started.set(signs.rotation_started)
        self._metrics.agents.labels("fresh").set(signs.agents_fresh)
        self._metrics.agents.labels("silent").set(signs.agents_silent)

    def take_up(self, entry: Mapping[str, object]) -> None:
        """Take up an entry that is new in the log."""
        if BACKUP.covers(entry):
            self._metrics.last_backup.set(datetime.fromisoformat(str(entry["time"])).timestamp())
