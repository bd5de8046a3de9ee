"""Revocation lists as a server hands them out: kept until revocations change or half of their life is over."""

from __future__ import annotations

import asyncio

from swarmsec.clock import unix_seconds
from swarmsec.keys.signers import SealedKeys
from swarmsec.services.ca.publish_revocations import PublishedList, current_list, find_root, public_root, publish_list
from swarmsec.services.ports import Transaction
from swarmsec.services.records import AuthorityRecord
from swarmsec.services.requester import SERVICE
from swarmsec.storage.groupwriter import GroupWriter
from swarmsec.storage.store import Store

PUBLIC = ""
"""Names the root that strangers are given, whichever it is."""


class ServedRevocations:
    """Answers the server's ``RevocationService`` port.

    Args:
        store: the issuance table.
        writer: for new lists.
        keys: who signs them.
    """

    def __init__(self, store: Store, writer: GroupWriter, keys: SealedKeys) -> None:
        self._store = store
        self._writer = writer
        self._keys = keys
        # At most one for each root that there is, and one more: a name that no root has is never kept.
        self._kept: dict[str, PublishedList] = {}
        self._forgotten = 0
        self._turn = asyncio.Lock()

    async def revocation_list(self, root_sha256: str = PUBLIC) -> bytes:
        """A root's list, DER. Of many who ask at once one makes it.

        Args:
            root_sha256: of the root's certificate, lower-case hex; the public root without it.

        Raises:
            NotFound: there is no such root.
        """
        async with self._turn:
            kept = self._kept.get(root_sha256)
            if kept is None or kept.is_due(unix_seconds(self._store.clock)):
                kept = await self._load(root_sha256)
            return kept.der

    def forget(self) -> None:
        """Make the lists anew for whoever asks next."""
        self._forgotten += 1
        self._kept = {}

    async def _load(self, name: str) -> PublishedList:
        before = self._forgotten
        loaded = await asyncio.to_thread(self._read, name)
        if loaded is None:
            loaded = await self._writer.write(lambda transaction: self._publish(transaction, name))
        # What was read before a revocation came to light answers this request, and is not kept for the next.
        if before == self._forgotten:
            self._kept[name] = loaded
        return loaded

    def _read(self, name: str) -> PublishedList | None:
        return self._store.read(lambda transaction: current_list(transaction, self._keys, _root(transaction, name)))

    def _publish(self, transaction: Transaction, name: str) -> PublishedList:
        return publish_list(transaction, self._keys, _root(transaction, name), SERVICE)


def _root(transaction: Transaction, name: str) -> AuthorityRecord:
    return public_root(transaction) if name == PUBLIC else find_root(transaction, name)
