"""The route of programs that enrol with a token: the secret driver and a node's agent.

Renewing and following rotations are the node's routes (``node_api``), since what counts there is the certificate shown.
"""

from __future__ import annotations

import hashlib
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from ca.requests import SigningRequest
from swarmsec.errors import UsageProblem
from swarmsec.http import Caller, Request, Response, Route
from swarmsec.server.node_api import MAX_JOIN_BODY, CheckRequest, operation, parse_body


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class EnrolBody(_Model):
    """What a driver or agent sends to enrol."""

    token: str = Field(max_length=128, repr=False)
    csr: str = Field(max_length=12_288)
    name: str | None = Field(default=None, max_length=63)


class EnrolAnswer(_Model):
    """What it gets."""

    name: str
    """Of the identity, as the issuance table has it."""
    role: str
    """``driver`` or ``agent:NODE``."""
    certificate: str
    """PEM; while the root is rotated followed by its issuer's cross-certificate."""
    root_bundle: str
    cross_signed: str = ""
    """The cross-certificate of the new root, PEM."""


class IdentityService(Protocol):
    """What the route needs of the parts behind the server."""

    async def enrol(
        self, caller: Caller, token: str, signing_request: SigningRequest, name: str | None, request_id: str
    ) -> EnrolAnswer: ...


def build_identity_route(service: IdentityService, check_request: CheckRequest) -> Route:
    """The route that redeems a token of role driver or agent.

    Args:
        check_request: checks a signing request.
    """

    async def enrol(request: Request) -> Response:
        body = parse_body(EnrolBody, request.body)
        signing_request = await check_request(body.csr.encode())
        answer = await service.enrol(request.caller, body.token, signing_request, body.name, request.request_id)
        return Response(body=answer.model_dump_json().encode())

    return Route(
        name="access.enrol",
        method="POST",
        path="/api/v1/access/enrol",
        handler=enrol,
        operation=operation("Enrol a driver or agent with a token", request=EnrolBody, answer=EnrolAnswer),
        body_limit=MAX_JOIN_BODY,
        attempt_keys=_attempt_keys,
    )


def _attempt_keys(request: Request) -> tuple[str, ...]:
    """Failed attempts count against the whole token, beside the address, as when a node joins."""
    try:
        body = parse_body(EnrolBody, request.body)
    except UsageProblem:
        return ()
    digest = hashlib.sha256(body.token.encode("utf-8", "surrogatepass")).hexdigest()
    return (f"token:{digest}",)
