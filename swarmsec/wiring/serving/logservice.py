"""The log behind the server's routes."""

from __future__ import annotations

import asyncio

from swarmsec.audit.errors import CheckpointInvalid
from swarmsec.audit.tiles import Tile
from swarmsec.errors import Denied
from swarmsec.http import Caller
from swarmsec.services.log.witness_log import accept_cosigned
from swarmsec.storage.groupwriter import GroupWriter
from swarmsec.storage.store import Store
from swarmsec.wiring.log.logsources import StoredLog


class ServedLogFiles:
    """Answers the server's ``LogService`` port.

    Args:
        store: whose log.
        writer: for cosignatures.
    """

    def __init__(self, store: Store, writer: GroupWriter) -> None:
        self._store = store
        self._writer = writer

    async def checkpoint(self) -> bytes:
        """The newest signed checkpoint."""
        return await asyncio.to_thread(self._checkpoint)

    async def read(self, tile: Tile) -> bytes | None:
        """A tile or entry bundle."""
        return await asyncio.to_thread(self._read, tile)

    async def accept_cosigned(self, caller: Caller, note: bytes) -> list[str]:
        """Keep what known witnesses signed.

        Raises:
            Denied: this log did not sign the checkpoint, or no known witness did.
        """
        try:
            return await self._writer.write(lambda transaction: accept_cosigned(transaction, note))
        except CheckpointInvalid as error:
            # What somebody brings says nothing of our own log.
            raise Denied(str(error), hint=error.hint) from None

    def _checkpoint(self) -> bytes:
        with self._store.reading() as transaction:
            return StoredLog(transaction).checkpoint()

    def _read(self, tile: Tile) -> bytes | None:
        with self._store.reading() as transaction:
            return StoredLog(transaction).read(tile)
