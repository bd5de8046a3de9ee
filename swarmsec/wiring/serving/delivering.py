"""The service behind the route of secret drivers without a home."""

from __future__ import annotations

from swarmsec.http import Caller
from swarmsec.keys.signers import SealedKeys
from swarmsec.services.secrets.delivery_records import CheckedTask, HandedOver, RefusalKind, SecretRequest
from swarmsec.services.secrets.issue_task_secret import TaskIssuing
from swarmsec.services.trust.judge_image import ImageJudge
from swarmsec.storage.groupwriter import GroupWriter
from swarmsec.storage.store import Store
from swarmsec.wiring.secrets.deciding import HomeDecisions
from swarmsec.wiring.serving.services import requester_of


class ServedDeliveries:
    """Answers the port ``server.delivery_api.DeliveryService``.

    Args:
        store, writer, keys: this server's own.
        issuing: for secrets under ``pki/``.
    """

    def __init__(self, store: Store, writer: GroupWriter, keys: SealedKeys, issuing: TaskIssuing) -> None:
        self._issuing = issuing
        self._store = store
        self._writer = writer
        self._keys = keys
        self._judge = ImageJudge()

    def _decisions(self, caller: Caller, request_id: str) -> HomeDecisions:
        requester = requester_of(caller, request_id)
        return HomeDecisions(self._store, self._writer, self._keys, self._judge, requester, issuing=self._issuing)

    async def deliver(
        self, caller: Caller, request: SecretRequest, task: CheckedTask, until: float, request_id: str
    ) -> HandedOver:
        """Decide, and open the value."""
        return await self._decisions(caller, request_id).deliver(request, task, until)

    async def refuse(
        self,
        caller: Caller,
        request: SecretRequest,
        reason: str,
        kind: RefusalKind,
        request_id: str,
        *,
        takes_back: int | None = None,
    ) -> None:
        """Put on record that the driver refused."""
        await self._decisions(caller, request_id).refuse(request, reason, kind, takes_back=takes_back)
