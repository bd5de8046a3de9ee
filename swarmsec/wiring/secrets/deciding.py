"""The driver's decisions over an open home: the unit that decides, logs and opens, and refusals put on record.

Both ``swarmsec driver`` beside a home and ``swarmsec serve`` for drivers elsewhere decide here.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from swarmsec.errors import SwarmsecError, Unavailable
from swarmsec.keys.signers import SealedKeys
from swarmsec.services.ports import Transaction
from swarmsec.services.requester import SERVICE, Requester
from swarmsec.services.secrets.deliver_secret import Delivery, deliver_secret, refuse_delivery
from swarmsec.services.secrets.delivery_records import CheckedTask, HandedOver, RefusalKind, SecretRequest
from swarmsec.services.secrets.issue_task_secret import TaskIssuing
from swarmsec.services.swarm.swarm_link import LinkState, load_link
from swarmsec.services.trust.judge_image import ImageJudge
from swarmsec.services.trust.refresh_trust import is_refresh_due, refresh_if_due
from swarmsec.storage.groupwriter import GroupWriter
from swarmsec.storage.store import Store

LATE: Final = "the store did not answer in time"
_LOOK_SECONDS: Final = 600.0
"""A timestamp of the trust repository ends after a day, and is signed again long before."""


class HomeDecisions:
    """Decides by the records of one home.

    Args:
        store, writer, keys: of the home.
        judge: of its images; one for a process.
        requester: the driver that asks.
        issuing: for secrets under ``pki/``.
    """

    def __init__(
        self,
        store: Store,
        writer: GroupWriter,
        keys: SealedKeys,
        judge: ImageJudge,
        requester: Requester,
        *,
        issuing: TaskIssuing | None = None,
    ) -> None:
        self._issuing = issuing
        self._requester = requester
        self._store = store
        self._writer = writer
        self._keys = keys
        self._judge = judge

    async def deliver(self, request: SecretRequest, task: CheckedTask, until: float) -> HandedOver:
        """Decide and open the value; returns when the entry is durable.

        Args:
            request: as the engine sent it.
            task: what the manager says of the task.
            until: by ``time.monotonic``; what comes to its turn at the store later is refused.

        Raises:
            DeliveryDenied: the request is refused, and that is on record.
            SwarmsecError: nothing could be decided, and nothing is on record.
        """

        def unit(transaction: Transaction) -> Delivery:
            if time.monotonic() >= until:
                raise refuse_delivery(request, Unavailable(LATE), self._requester, RefusalKind.LATE)
            link = load_link(transaction)
            return deliver_secret(
                transaction,
                self._keys,
                request,
                task,
                self._requester,
                judge=self._judge,
                issuing=self._issuing,
                # On an adopted Swarm every node holds a certificate of ours; elsewhere none may.
                requires_node_certificate=link is not None and link.state is LinkState.ADOPTED,
            )

        delivery = await self._writer.write(unit)
        return HandedOver(value=delivery.value, entry=delivery.entry)

    async def refuse(
        self, request: SecretRequest, reason: str, kind: RefusalKind, *, takes_back: int | None = None
    ) -> None:
        """Put a refusal on record that was decided elsewhere; returns when it is durable."""
        event = refuse_delivery(request, Unavailable(reason), self._requester, kind, takes_back=takes_back).event
        await self._writer.write(lambda transaction: transaction.log(event))

    async def keep_fresh(self) -> None:
        """Keep the metadata of the home's images in force, for as long as this runs; ``serve`` does so by itself."""
        while True:
            try:
                if await asyncio.to_thread(self._store.read, is_refresh_due):
                    await self._writer.write(lambda transaction: refresh_if_due(transaction, self._keys, SERVICE))
            except SwarmsecError:
                # It is tried again; what has ended meanwhile is refused, with that for a reason.
                pass
            await asyncio.sleep(_LOOK_SECONDS)
