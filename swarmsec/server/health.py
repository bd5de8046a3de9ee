"""Liveness and readiness: a word for everybody, the checks by name for identified callers only."""

from __future__ import annotations

import json
from collections.abc import Sequence

from swarmsec.errors import Kind
from swarmsec.http import Request, Response, RoleKind, Route
from swarmsec.server.ports import Check, Readiness

_ANSWER = {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}}


def build_health_routes(readiness: Readiness) -> tuple[Route, Route]:
    """Return the routes ``healthz`` (the process answers) and ``readyz`` (what it needs works)."""

    async def show_readiness(request: Request) -> Response:
        return _render(await readiness.checks(), request)

    return (
        Route(name="healthz", method="GET", path="/healthz", handler=_show_liveness, operation=_operation("Liveness")),
        Route(name="readyz", method="GET", path="/readyz", handler=show_readiness, operation=_operation("Readiness")),
    )


async def _show_liveness(request: Request) -> Response:
    return Response(body=b'{"status": "ok"}')


def _render(checks: Sequence[Check], request: Request) -> Response:
    is_ready = bool(checks) and all(check.ok for check in checks)
    content: dict[str, object] = {"status": "ok" if is_ready else "unavailable"}
    if request.caller.role.kind is not RoleKind.ANONYMOUS:
        content["checks"] = [{"name": check.name, "ok": check.ok, "detail": check.detail} for check in checks]
    status = 200 if is_ready else Kind.UNAVAILABLE.http_status
    return Response(status=status, body=json.dumps(content).encode())


def _operation(summary: str) -> dict[str, object]:
    answer = {"content": {"application/json": {"schema": _ANSWER}}}
    return {
        "summary": summary,
        "responses": {
            "200": {"description": "it is", **answer},
            "503": {"description": "it is not", **answer},
        },
    }
