"""Liveness, readiness, and who sees the details."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest

from swarmsec.http import ANONYMOUS, Caller, Request, Response, Role, RoleKind
from swarmsec.server.health import build_health_routes
from swarmsec.server.ports import Check

GOOD = Check(name="storage", ok=True)
BAD = Check(name="seal", ok=False, detail="sealed")


class Ready:
    def __init__(self, *checks: Check) -> None:
        self._checks = checks

    async def checks(self) -> Sequence[Check]:
        return self._checks


def ask(ready: Ready, role: Role) -> Response:
    _, readyz = build_health_routes(ready)
    caller = Caller(role=role, name="", address="127.0.0.1")
    request = Request(method="GET", path="/readyz", caller=caller, request_id="")

    async def main() -> Response:
        return await readyz.handler(request)

    return asyncio.run(main())


@pytest.mark.parametrize(("checks", "status"), [((GOOD,), 200), ((GOOD, BAD), 503), ((BAD,), 503), ((), 503)])
def test_all_checks_must_hold_and_none_is_not_enough(checks: tuple[Check, ...], status: int) -> None:
    response = ask(Ready(*checks), ANONYMOUS)
    assert response.status == status
    assert set(json.loads(response.body)) == {"status"}


def test_identified_callers_see_which_check_fails() -> None:
    content = json.loads(ask(Ready(GOOD, BAD), Role(kind=RoleKind.AUDITOR)).body)
    assert [check["name"] for check in content["checks"] if not check["ok"]] == ["seal"]
