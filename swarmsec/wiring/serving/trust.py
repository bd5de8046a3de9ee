"""The trust repository behind the server's routes: what is published, and signing it again in time."""

from __future__ import annotations

import asyncio

from swarmsec.keys.signers import SealedKeys
from swarmsec.services.refresh_trust import is_refresh_due, refresh_if_due
from swarmsec.services.requester import SERVICE
from swarmsec.storage.groupwriter import GroupWriter
from swarmsec.storage.store import Store
from swarmsec.wiring.publishing import StoredMetadata


class ServedTrust:
    """Answers the server's ``PublishedFiles`` port, and keeps the repository fresh.

    Args:
        store, writer, keys: this server's own.
    """

    def __init__(self, store: Store, writer: GroupWriter, keys: SealedKeys) -> None:
        self._store = store
        self._writer = writer
        self._keys = keys
        self._files = StoredMetadata(store)

    async def published(self, name: str) -> bytes | None:
        """A published file, or None."""
        return await asyncio.to_thread(self._files.get, name)

    async def refresh(self) -> None:
        """Sign again what is due."""
        if await asyncio.to_thread(self._store.read, is_refresh_due):
            await self._writer.write(lambda transaction: refresh_if_due(transaction, self._keys, SERVICE))
