"""The agents' route: each puts what it found on its own node, and learns nothing but whether that was new."""

from __future__ import annotations

import json
from typing import Any, Final, Protocol

import msgspec

from swarmsec.http import Caller, Request, Response, Route
from swarmsec.reports.host_report import MAX_REPORT_BYTES, HostReport, parse_host_report

FACTS_PATH: Final = "/api/v1/agent/facts"


class AgentService(Protocol):
    """What this route needs of the parts behind the server."""

    async def keep_facts(self, caller: Caller, data: bytes, request_id: str) -> bool: ...


def build_agent_route(service: AgentService) -> Route:
    """The route ``agent.facts``: for the node of the agent's own certificate, whatever the body says."""

    async def facts(request: Request) -> Response:
        parse_host_report(request.body)
        is_new = await service.keep_facts(request.caller, request.body, request.request_id)
        return Response(body=json.dumps({"changed": is_new}).encode())

    return Route(
        name="agent.facts",
        method="PUT",
        path=FACTS_PATH,
        handler=facts,
        operation=_operation(),
        body_limit=MAX_REPORT_BYTES,
    )


def _operation() -> dict[str, Any]:
    (schema,), components = msgspec.json.schema_components([HostReport], ref_template="#/$defs/{name}")
    answer = {"type": "object", "properties": {"changed": {"type": "boolean"}}, "required": ["changed"]}
    return {
        "summary": "Put the facts of the agent's own node",
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {**schema, "$defs": components}}},
        },
        "responses": {"200": {"description": "kept", "content": {"application/json": {"schema": answer}}}},
    }
