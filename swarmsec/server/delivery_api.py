"""The route of secret drivers without a home: one request of an engine, decided and logged here.

The driver says what its manager says of the task, for it alone holds the Docker socket; everything else is decided by
the records here. A value is the whole body, as bytes, and nothing else names it. A refusal is an answer like any other
(200, JSON): a task that asks in vain must not count as an attack of the driver that speaks for it.
"""

from __future__ import annotations

from typing import Final, Protocol

from pydantic import BaseModel, ConfigDict, Field

from swarmsec.errors import UsageProblem
from swarmsec.http import Caller, Request, Response, Route
from swarmsec.secretbytes import SecretBytes
from swarmsec.server.node_api import operation, parse_body
from swarmsec.services.deliver_secret import DeliveryDenied
from swarmsec.services.delivery_records import CheckedTask, RefusalKind, SecretRequest

PATH: Final = "/api/v1/secrets/deliver"
VALUE_TYPE: Final = "application/octet-stream"
MAX_BODY: Final = 3 << 20
"""A request of an engine has at most 1 MiB; its labels come twice, once more as the manager has them."""
_MAX_TEXT: Final = 4096


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RequestBody(_Model):
    """What the engine asked for (``services.delivery_records.SecretRequest``)."""

    secret_name: str = Field(max_length=_MAX_TEXT)
    secret_labels: dict[str, str]
    service_id: str = Field(max_length=64)
    service_name: str = Field(max_length=_MAX_TEXT)
    service_labels: dict[str, str]
    task_id: str = Field(max_length=64)
    task_name: str = Field(max_length=_MAX_TEXT)
    task_image: str = Field(max_length=_MAX_TEXT)
    node_id: str = Field(max_length=64)


class TaskBody(_Model):
    """What the manager says of the task (``services.delivery_records.CheckedTask``)."""

    task_id: str = Field(max_length=64)
    service_id: str = Field(max_length=64)
    service_name: str = Field(max_length=_MAX_TEXT)
    service_labels: dict[str, str]
    image: str = Field(max_length=_MAX_TEXT)
    node_id: str = Field(max_length=64)
    hostname: str = Field(max_length=_MAX_TEXT)


class RefusedBody(_Model):
    """That the driver refused by itself, and why; to be put on record."""

    reason: str = Field(max_length=1000)
    kind: RefusalKind


class DeliverBody(_Model):
    """A request with what the manager says, or with the driver's own refusal."""

    request: RequestBody
    task: TaskBody | None = None
    refused: RefusedBody | None = None


class RefusalAnswer(_Model):
    """Why the task gets nothing; it is on record."""

    refused: str
    kind: RefusalKind


class DeliveryService(Protocol):
    """What the route needs of the parts behind the server.

    ``deliver`` raises ``DeliveryDenied`` where the request is refused; both return when the entry is durable.
    """

    async def deliver(
        self, caller: Caller, request: SecretRequest, task: CheckedTask, request_id: str
    ) -> SecretBytes: ...
    async def refuse(
        self, caller: Caller, request: SecretRequest, reason: str, kind: RefusalKind, request_id: str
    ) -> None: ...


def build_delivery_route(service: DeliveryService) -> Route:
    """The route that gives drivers values for tasks."""

    async def deliver(request: Request) -> Response:
        wanted, task, refused = parse_delivery(request.body)
        if refused is not None:
            await service.refuse(request.caller, wanted, refused.reason, refused.kind, request.request_id)
            return _refusal(refused.reason, refused.kind)
        if task is None:
            raise UsageProblem("expected a task, or why it was refused")
        try:
            value = await service.deliver(request.caller, wanted, task, request.request_id)
        except DeliveryDenied as error:
            return _refusal(str(error), error.refusal)
        answer = Response(body=value.reveal(), content_type=VALUE_TYPE)
        value.wipe()
        return answer

    described = operation("Give a task its secret", request=DeliverBody, answer=RefusalAnswer)
    return Route(
        name="secrets.deliver",
        method="POST",
        path=PATH,
        handler=deliver,
        operation=described,
        body_limit=MAX_BODY,
    )


def parse_delivery(data: bytes) -> tuple[SecretRequest, CheckedTask | None, RefusedBody | None]:
    """Read what a driver sends: exactly one of the last two is there.

    Raises:
        UsageProblem: it is something else.
    """
    body = parse_body(DeliverBody, data)
    if (body.task is None) == (body.refused is None):
        raise UsageProblem("expected either a task, or why it was refused")
    task = None if body.task is None else CheckedTask(**body.task.model_dump())
    return SecretRequest(**body.request.model_dump()), task, body.refused


def _refusal(reason: str, kind: RefusalKind) -> Response:
    return Response(body=RefusalAnswer(refused=reason, kind=kind).model_dump_json().encode())
