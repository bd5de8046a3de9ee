"""The routes of nodes and people: the root bundle, joining and renewing, who am I, and the lists.

Bodies are pydantic models, strict and closed; their JSON schemas are what the OpenAPI document shows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Protocol, TypeVar

from cryptography import x509
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ca.algorithms import PARSE_ERRORS
from ca.bundle import parse_certificate
from ca.errors import CaError
from ca.pem import parse_blocks
from ca.requests import SigningRequest, parse_signing_request
from swarmsec.errors import UsageProblem
from swarmsec.http import Caller, Request, Response, Route

MAX_JOIN_BODY: Final = 16_384
MAX_CHECK_BODY: Final = 1024


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


Body = TypeVar("Body", bound=BaseModel)


class JoinBody(_Model):
    """What a node sends to join."""

    token: str = Field(max_length=128, repr=False)
    csr: str = Field(max_length=12_288)
    name: str | None = Field(default=None, max_length=63)


class RenewBody(_Model):
    """What a node sends to renew its certificate, which it shows in the handshake."""

    csr: str = Field(max_length=12_288)


class CheckBody(_Model):
    """What a node says of itself, to learn whether the authority's root changes."""

    roots_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    """Of the exact root bundle that it has stored."""


class RecoverBody(_Model):
    """What a node sends whose certificate has expired: a signing request for the key that it had.

    A manager whose key is locked sends that certificate in its place.
    """

    token: str = Field(max_length=128, repr=False)
    csr: str = Field(default="", max_length=12_288)
    certificate: str = Field(default="", max_length=12_288)

    def proof(self) -> SigningRequest | x509.Certificate:
        """The one of both that was sent, taken apart.

        Raises:
            UsageProblem: none was sent, or both, or it is no certificate.
            ca.errors.InvalidRequest: it is no signing request.
        """
        if bool(self.csr) == bool(self.certificate):
            raise UsageProblem("expected either a signing request or a certificate")
        if self.csr:
            return parse_signing_request(self.csr.encode())
        try:
            (shown,) = parse_blocks(self.certificate.encode(), "CERTIFICATE")
            return parse_certificate(shown)
        except (*PARSE_ERRORS, CaError):
            raise UsageProblem("expected one certificate, PEM") from None


class JoinAnswer(_Model):
    """What it gets."""

    node_id: str
    role: str
    certificate: str
    """PEM; while the root is rotated followed by its issuer's cross-certificate."""
    root_bundle: str
    cross_signed: str = ""
    """The cross-certificate of the new root, by which who trusts the old one may believe the bundle, PEM."""


class CheckAnswer(_Model):
    """What a node is to trust and to do."""

    root_bundle: str
    cross_signed: str
    renew: bool
    """Whether it is its turn to get a certificate of another root."""
    retry_after: int
    """Seconds until it should ask again; 0 where its own time will do."""
    phase: str
    """Of the rotation; empty where none runs."""


class WaitAnswer(_Model):
    """What a manager gets that waits for approval, with status 202; it asks again with the same key."""

    pending: bool
    node_id: str
    spki_sha256: str
    retry_after_seconds: int


CheckRequest = Callable[[bytes], Awaitable[SigningRequest]]
"""Checks a signing request as ``ca.requests.parse_signing_request`` does, with those that others send meanwhile."""


class NodeService(Protocol):
    """What these routes need of the parts behind the server."""

    def root_bundle(self) -> bytes: ...
    async def join(
        self, caller: Caller, token: str, signing_request: SigningRequest, name: str | None, request_id: str
    ) -> JoinAnswer | WaitAnswer: ...
    async def renew(self, caller: Caller, signing_request: SigningRequest, request_id: str) -> JoinAnswer: ...
    async def check(self, caller: Caller, roots_sha256: bytes, request_id: str) -> CheckAnswer: ...
    async def recover(
        self, caller: Caller, token: str, proof: SigningRequest | x509.Certificate, request_id: str
    ) -> JoinAnswer: ...
    async def certificates(self) -> Sequence[Mapping[str, object]]: ...
    async def policies(self) -> Sequence[Mapping[str, object]]: ...


def build_node_routes(service: NodeService, check_request: CheckRequest) -> list[Route]:
    """The routes of nodes and people, in the order of their pages.

    Args:
        check_request: checks a signing request.
    """

    async def bundle(request: Request) -> Response:
        return Response(body=service.root_bundle(), content_type="application/x-pem-file")

    async def join(request: Request) -> Response:
        body = parse_body(JoinBody, request.body)
        signing_request = await check_request(body.csr.encode())
        answer = await service.join(request.caller, body.token, signing_request, body.name, request.request_id)
        if isinstance(answer, WaitAnswer):
            headers = {"Retry-After": str(answer.retry_after_seconds)}
            return Response(status=202, body=answer.model_dump_json().encode(), headers=headers)
        return Response(body=answer.model_dump_json().encode())

    async def renew(request: Request) -> Response:
        body = parse_body(RenewBody, request.body)
        signing_request = await check_request(body.csr.encode())
        answer = await service.renew(request.caller, signing_request, request.request_id)
        return Response(body=answer.model_dump_json().encode())

    async def check(request: Request) -> Response:
        body = parse_body(CheckBody, request.body)
        answer = await service.check(request.caller, bytes.fromhex(body.roots_sha256), request.request_id)
        headers = {"Retry-After": str(answer.retry_after)} if answer.retry_after else {}
        return Response(body=_worded(answer), headers=headers)

    async def recover(request: Request) -> Response:
        body = parse_body(RecoverBody, request.body)
        answer = await service.recover(request.caller, body.token, body.proof(), request.request_id)
        return Response(body=answer.model_dump_json().encode())

    async def whoami(request: Request) -> Response:
        return _json({"role": str(request.caller.role), "name": request.caller.name})

    return [
        Route(name="ca.bundle", method="GET", path="/api/v1/ca/bundle", handler=bundle, operation=_BUNDLE),
        Route(
            name="node.join",
            method="POST",
            path="/api/v1/node/join",
            handler=join,
            operation=_joining(operation("Redeem a join token for a certificate", request=JoinBody, answer=JoinAnswer)),
            body_limit=MAX_JOIN_BODY,
            attempt_keys=_join_keys,
        ),
        Route(
            name="node.renew",
            method="POST",
            path="/api/v1/node/renew",
            handler=renew,
            operation=operation("Renew a node's certificate", request=RenewBody, answer=JoinAnswer),
            body_limit=MAX_JOIN_BODY,
        ),
        Route(
            name="node.check",
            method="POST",
            path="/api/v1/node/check",
            handler=check,
            operation=operation("Learn which roots to trust", request=CheckBody, answer=CheckAnswer),
            body_limit=MAX_CHECK_BODY,
        ),
        Route(
            name="node.recover",
            method="POST",
            path="/api/v1/node/recover",
            handler=recover,
            operation=operation("Bring back a node with a token", request=RecoverBody, answer=JoinAnswer),
            body_limit=MAX_JOIN_BODY,
            attempt_keys=_join_keys,
        ),
        Route(name="whoami", method="GET", path="/api/v1/whoami", handler=whoami, operation=operation("Who am I")),
        _list_route("ca.certificates", "/api/v1/ca/certificates", "Every certificate", service.certificates),
        _list_route("policies.list", "/api/v1/policies", "Policy documents in force", service.policies),
    ]


@lru_cache(maxsize=256)
def _worded(answer: CheckAnswer) -> bytes:
    """As JSON; thousands of nodes are told the same."""
    return answer.model_dump_json().encode()


def parse_body(kind: type[Body], data: bytes) -> Body:
    """Parse a JSON body.

    Raises:
        UsageProblem: names the member that is wrong, never its value.
    """
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        raise wrong_member(error) from None


def wrong_member(error: ValidationError) -> UsageProblem:
    """Name the member that is wrong, never its value."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    # An unknown member is named as the sender wrote it.
    where = ascii(".".join(str(part) for part in first["loc"])[:60])[1:-1] or "the body"
    return UsageProblem(f"{where}: {str(first['msg'])[:1].lower()}{str(first['msg'])[1:]}")


def operation(
    summary: str, *, request: type[BaseModel] | None = None, answer: type[BaseModel] | None = None
) -> dict[str, object]:
    """An OpenAPI operation from models."""
    content: dict[str, Any] = {"schema": answer.model_json_schema()} if answer else {"schema": {"type": "object"}}
    described: dict[str, object] = {
        "summary": summary,
        "responses": {"200": {"description": "done", "content": {"application/json": content}}},
    }
    if request is not None:
        schema = {"schema": request.model_json_schema()}
        described["requestBody"] = {"required": True, "content": {"application/json": schema}}
    return described


def _joining(described: dict[str, Any]) -> dict[str, object]:
    """A manager may be told to wait."""
    content = {"application/json": {"schema": WaitAnswer.model_json_schema()}}
    described["responses"]["202"] = {"description": "waits for approval; ask again", "content": content}
    return described


def _join_keys(request: Request) -> tuple[str, ...]:
    """Failed attempts count against the whole token, beside the address.

    Neither its public half nor the wanted name may count: every token of a root shares the one and anybody can say
    the other, so a stranger could keep everybody else from joining.
    """
    try:
        body = parse_body(JoinBody, request.body)
    except UsageProblem:
        return ()
    digest = hashlib.sha256(body.token.encode("utf-8", "surrogatepass")).hexdigest()
    return (f"token:{digest}",)


def _list_route(
    name: str, path: str, summary: str, load: Callable[[], Awaitable[Sequence[Mapping[str, object]]]]
) -> Route:
    async def handle(request: Request) -> Response:
        return _json(await load())

    return Route(name=name, method="GET", path=path, handler=handle, operation=operation(summary))


def _json(value: object) -> Response:
    return Response(body=json.dumps(value, ensure_ascii=False).encode())


_BUNDLE: Final[dict[str, object]] = {
    "summary": "The exact root bundle that join tokens digest",
    "responses": {"200": {"description": "PEM", "content": {"application/x-pem-file": {}}}},
}
