"""Agents' facts over this home's store."""

from __future__ import annotations

from swarmsec.http import Caller
from swarmsec.services.reports.keep_host_facts import keep_host_facts
from swarmsec.storage.groupwriter import GroupWriter
from swarmsec.wiring.serving.services import requester_of


class ServedAgents:
    """Answers the port of ``server.agent_api``.

    Args:
        writer: this server's own.
    """

    def __init__(self, writer: GroupWriter) -> None:
        self._writer = writer

    async def keep_facts(self, caller: Caller, data: bytes, request_id: str) -> bool:
        """Keep the facts of the caller's node."""
        requester = requester_of(caller, request_id)
        return await self._writer.write(
            lambda transaction: keep_host_facts(transaction, caller.role.scope, data, requester)
        )
