"""The routes of signing over HTTPS: images from CI and from signers, what waits for signatures, signatures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from pydantic import BaseModel, ConfigDict, Field

from notary.changefiles import MAX_SIGNATURES_BYTES, SignaturesFile, parse_signatures
from notary.errors import InvalidMetadata
from swarmsec.errors import UsageProblem
from swarmsec.http import Caller, Request, Response, Route
from swarmsec.server.node_api import operation, parse_body

MAX_IMAGE_BODY: Final = 131_072


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class PlatformBody(_Model):
    """One image of an index."""

    os: str = Field(max_length=128)
    architecture: str = Field(max_length=128)
    variant: str = Field(default="", max_length=128)
    digest: str = Field(max_length=160)


class SignBody(_Model):
    """What is to be signed: a name and what it resolved to."""

    token: str | None = Field(default=None, max_length=8192, repr=False)
    image: str = Field(max_length=1024)
    digest: str = Field(max_length=160)
    size: int = Field(ge=1)
    media_type: str = Field(max_length=128)
    platforms: list[PlatformBody] = Field(default_factory=list, max_length=200)


class SignAnswer(_Model):
    """What came of it: published, or the id of the change that waits for further signatures."""

    image: str
    digest: str
    published: bool
    change: str | None = None


class TrustService(Protocol):
    """What these routes need of the parts behind the server."""

    async def sign(self, caller: Caller, body: SignBody, request_id: str) -> SignAnswer: ...
    async def pending(self, caller: Caller) -> Sequence[Mapping[str, Any]]: ...
    async def bring(self, caller: Caller, brought: SignaturesFile, request_id: str) -> bool: ...


def build_trust_routes(service: TrustService) -> list[Route]:
    """The routes of signers."""

    async def sign(request: Request) -> Response:
        body = parse_body(SignBody, request.body)
        answer = await service.sign(request.caller, body, request.request_id)
        return Response(body=answer.model_dump_json().encode())

    async def pending(request: Request) -> Response:
        return Response(body=json.dumps(await service.pending(request.caller)).encode())

    async def bring(request: Request) -> Response:
        try:
            brought = parse_signatures(request.body)
        except InvalidMetadata as error:
            raise UsageProblem(str(error)) from None
        done = await service.bring(request.caller, brought, request.request_id)
        return Response(body=json.dumps({"published": done}).encode())

    return [
        Route(
            name="trust.sign",
            method="POST",
            path="/api/v1/trust/images",
            handler=sign,
            operation=operation("Say what a tag means", request=SignBody, answer=SignAnswer),
            body_limit=MAX_IMAGE_BODY,
            attempt_keys=_token_keys,
        ),
        Route(
            name="trust.pending",
            method="GET",
            path="/api/v1/trust/changes",
            handler=pending,
            operation=operation("Changes that wait for signatures"),
        ),
        Route(
            name="trust.signatures",
            method="POST",
            path="/api/v1/trust/signatures",
            handler=bring,
            operation=operation("Bring signatures for a change"),
            body_limit=MAX_SIGNATURES_BYTES,
        ),
    ]


def _token_keys(request: Request) -> tuple[str, ...]:
    """Failed attempts count against the whole token, beside the address."""
    try:
        token = parse_body(SignBody, request.body).token
    except UsageProblem:
        return ()
    if token is None:
        return ()
    return (f"token:{hashlib.sha256(token.encode('utf-8', 'surrogatepass')).hexdigest()}",)
