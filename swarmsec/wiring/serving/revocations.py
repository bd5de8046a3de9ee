"""The revocation list as a server hands it out: kept in memory until revocations change or half of its life is over."""

from __future__ import annotations

import asyncio

from swarmsec.clock import unix_seconds
from swarmsec.services.ports import Transaction
from swarmsec.services.publish_revocations import PublishedList, current_list, publish_list
from swarmsec.services.requester import SERVICE
from swarmsec.storage.groupwriter import GroupWriter
from swarmsec.storage.store import Store
from swarmsec.wiring.serving.authorities import Authorities


class ServedRevocations:
    """Answers the server's ``RevocationService`` port.

    Args:
        store: the issuance table.
        writer: for new lists.
        authorities: who signs them.
    """

    def __init__(self, store: Store, writer: GroupWriter, authorities: Authorities) -> None:
        self._store = store
        self._writer = writer
        self._authorities = authorities
        self._kept: PublishedList | None = None
        self._forgotten = 0
        self._turn = asyncio.Lock()

    async def revocation_list(self) -> bytes:
        """The list, DER. Of many who ask at once one makes it."""
        async with self._turn:
            kept = self._kept
            if kept is None or kept.state.is_past_half(unix_seconds(self._store.clock)):
                kept = await self._load()
            return kept.der

    def forget(self) -> None:
        """Make the list anew for whoever asks next."""
        self._forgotten += 1
        self._kept = None

    async def _load(self) -> PublishedList:
        before = self._forgotten
        loaded = await asyncio.to_thread(self._read)
        if loaded is None:
            loaded = await self._writer.write(self._publish)
        # What was read before a revocation came to light answers this request, and is not kept for the next.
        self._kept = loaded if before == self._forgotten else None
        return loaded

    def _read(self) -> PublishedList | None:
        return self._store.read(lambda transaction: current_list(transaction, self._authorities.at(transaction)))

    def _publish(self, transaction: Transaction) -> PublishedList:
        return publish_list(transaction, self._authorities.at(transaction), SERVICE)
