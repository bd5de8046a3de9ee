"""What a root rotation asks of a server beside answering nodes: its own steps, and saying that it is there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from swarmsec.keys.signers import SealedKeys
from swarmsec.services.ca.authority import Authority
from swarmsec.services.ports import Transaction
from swarmsec.services.requester import SERVICE
from swarmsec.services.rotation.rotate_authority import Held, do_next_step
from swarmsec.services.rotation.rotation_records import RotationRecord
from swarmsec.services.rotation.rotation_status import SERVED
from swarmsec.storage.groupwriter import GroupWriter
from swarmsec.storage.store import Store
from swarmsec.wiring.serving.authorities import Authorities
from swarmsec.wiring.serving.services import AuthorityServices
from swarmsec.wiring.serving.turns import Turns

SERVED_SECONDS: Final = 10
"""How long a server counts as running after it said so; it says so every second."""


@dataclass(slots=True, kw_only=True)
class Rotating:
    """Looks once a second whether a rotation runs, and carries it on.

    Args:
        store, writer, keys, authorities, services, turns: this server's own.
    """

    store: Store
    writer: GroupWriter
    keys: SealedKeys
    authorities: Authorities
    services: AuthorityServices
    turns: Turns
    _holder: str = field(default_factory=lambda: f"server {os.getpid()} on {os.uname().nodename}")

    async def take_up(self, authority: Authority) -> None:
        """Begin another phase."""
        rotation = authority.rotation
        nodes = () if rotation is None else await asyncio.to_thread(self._nodes, rotation.id)
        self.turns.begin(len(nodes))
        self.services.news.take_up(0 if rotation is None else rotation.id, nodes)

    def _nodes(self, rotation: int) -> Sequence[str]:
        return self.store.read(lambda transaction: transaction.rotations.names(rotation))

    async def go_on(self) -> None:
        """Do what is to be done now; nothing at all while no rotation runs."""
        if self.authorities.current.rotation is None:
            self.services.contacts.clear()
            return
        contacts, self.services.contacts = self.services.contacts, {}
        await self.writer.write(lambda transaction: self._say(transaction, contacts))
        # One step may make way for the next, and nodes wait for both.
        while isinstance(await self.writer.write(self._step), RotationRecord):
            pass

    def _say(self, transaction: Transaction, contacts: dict[str, int]) -> None:
        transaction.leases.take(SERVED, self._holder, SERVED_SECONDS)
        transaction.rotations.note_contacts(contacts)

    def _step(self, transaction: Transaction) -> RotationRecord | Held | None:
        return do_next_step(transaction, self.keys, SERVICE, self._holder)
