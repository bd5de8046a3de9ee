"""The route of secret drivers without a home: requests of engines, each decided and logged here for itself.

A driver asks for as many as wait with it at the same time. What is wrong with one, that it is refused, cannot be meant
or cannot be decided, is that one's answer and nobody else's.

The driver says what its manager says of a task, for it alone holds the Docker socket; everything else is decided by the
records here. A refusal is an answer like any other: a task that asks in vain must not count as an attack of the driver
that speaks for it.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from swarmsec.errors import UsageProblem, describe
from swarmsec.http import Caller, Request, Response, Route
from swarmsec.server.errors import is_defect
from swarmsec.server.logs import log_defect
from swarmsec.server.node_api import operation, parse_body, wrong_member
from swarmsec.services.secrets.deliver_secret import DeliveryDenied
from swarmsec.services.secrets.delivery_records import (
    MAX_TOGETHER,
    MAX_TOGETHER_BYTES,
    CheckedTask,
    HandedOver,
    RefusalKind,
    SecretRequest,
)

PATH: Final = "/api/v1/secrets/deliver"
_MAX_TEXT: Final = 4096
_MAX_PATIENCE_MS: Final = 60_000


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RequestBody(_Model):
    """What the engine asked for (``services.secrets.delivery_records.SecretRequest``)."""

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
    """What the manager says of the task (``services.secrets.delivery_records.CheckedTask``)."""

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
    takes_back: int | None = Field(default=None, ge=0, lt=1 << 63)
    """The entry that says that the value was delivered, while it came too late to leave."""


class DeliveryBody(_Model):
    """A request with what the manager says and how long the driver waits, or with the driver's own refusal."""

    request: RequestBody
    task: TaskBody | None = None
    within_ms: int | None = Field(default=None, ge=0, le=_MAX_PATIENCE_MS)
    """What comes to be decided later is refused."""
    refused: RefusedBody | None = None

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        if (self.task is None) == (self.refused is None):
            raise ValueError("expected either a task, or why it was refused")
        if (self.task is None) != (self.within_ms is None):
            raise ValueError("expected within_ms with a task, and with nothing else")
        return self


class DeliverBody(_Model):
    """What waits with a driver at one time."""

    deliveries: list[DeliveryBody] = Field(min_length=1, max_length=MAX_TOGETHER)


class _SeveralBody(_Model):
    """As ``DeliverBody``, where at least one of them cannot be meant."""

    deliveries: list[dict[str, Any]] = Field(min_length=1, max_length=MAX_TOGETHER)


class ValueAnswer(_Model):
    """A value, in base64, and the number of the log entry that says so."""

    value: str
    entry: int


class RefusalAnswer(_Model):
    """Why the task gets nothing; it is on record."""

    refused: str
    kind: RefusalKind


class UndecidedAnswer(_Model):
    """Why nothing could be decided; nothing is on record."""

    undecided: str


class DeliverAnswer(_Model):
    """One answer for each delivery, in order."""

    answers: list[ValueAnswer | RefusalAnswer | UndecidedAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A delivery as it was asked for: ``task`` with ``within`` in seconds, or ``refused``."""

    request: SecretRequest
    task: CheckedTask | None = None
    within: float = 0.0
    refused: RefusedBody | None = None


class DeliveryService(Protocol):
    """What the route needs of the parts behind the server.

    ``deliver`` raises ``DeliveryDenied`` where the request is refused, as it is when its turn comes after ``until`` (by
    ``time.monotonic``); both return when the entry is durable.
    """

    async def deliver(
        self, caller: Caller, request: SecretRequest, task: CheckedTask, until: float, request_id: str
    ) -> HandedOver: ...
    async def refuse(
        self,
        caller: Caller,
        request: SecretRequest,
        reason: str,
        kind: RefusalKind,
        request_id: str,
        *,
        takes_back: int | None = None,
    ) -> None: ...


def build_delivery_route(service: DeliveryService) -> Route:
    """The route that gives drivers values for tasks."""

    async def decide(request: Request, asked: Asked) -> bytes:
        caller, request_id, refused = request.caller, request.request_id, asked.refused
        if refused is not None:
            await service.refuse(
                caller, asked.request, refused.reason, refused.kind, request_id, takes_back=refused.takes_back
            )
            return _refusal(refused.reason, refused.kind)
        if asked.task is None:
            raise UsageProblem("expected a task")
        try:
            handed = await service.deliver(caller, asked.request, asked.task, request.began + asked.within, request_id)
        except DeliveryDenied as error:
            return _refusal(str(error), error.refusal)
        answer = b'{"value":"%b","entry":%d}' % (base64.b64encode(handed.value.reveal()), handed.entry)
        handed.value.wipe()
        return answer

    async def answer(request: Request, asked: Asked | UsageProblem) -> bytes:
        try:
            if isinstance(asked, UsageProblem):
                raise asked
            return await decide(request, asked)
        except Exception as error:  # noqa: BLE001  # whatever it is, the others' answers come all the same
            if is_defect(error):
                log_defect("a delivery could not be decided", error, request_id=request.request_id)
            return UndecidedAnswer(undecided=describe(error).text).model_dump_json().encode()

    async def deliver(request: Request) -> Response:
        asked = parse_deliveries(request.body)
        answers = await asyncio.gather(*(answer(request, one) for one in asked))
        return Response(body=b'{"answers":[%b]}' % b",".join(answers))

    described = operation("Give tasks their secrets", request=DeliverBody, answer=DeliverAnswer)
    return Route(
        name="secrets.deliver",
        method="POST",
        path=PATH,
        handler=deliver,
        operation=described,
        body_limit=MAX_TOGETHER_BYTES,
    )


def parse_deliveries(data: bytes) -> Sequence[Asked | UsageProblem]:
    """Read what a driver sends: 1 to ``MAX_TOGETHER`` deliveries, each or why it cannot be meant.

    Raises:
        UsageProblem: it is no list of them.
    """
    try:
        return [_asked(body) for body in DeliverBody.model_validate_json(data).deliveries]
    except ValidationError:
        # What is wrong with one must not cost the others their answers.
        try:
            several = parse_body(_SeveralBody, data)
        except UsageProblem as error:
            raise UsageProblem(f"{error}: the driver and the server must be of one version") from None
        return [_parse_alone(members) for members in several.deliveries]


def _parse_alone(members: dict[str, Any]) -> Asked | UsageProblem:
    try:
        return _asked(DeliveryBody.model_validate(members))
    except ValidationError as error:
        return wrong_member(error)


def _asked(body: DeliveryBody) -> Asked:
    return Asked(
        request=SecretRequest(**body.request.model_dump()),
        task=None if body.task is None else CheckedTask(**body.task.model_dump()),
        within=(body.within_ms or 0) / 1000,
        refused=body.refused,
    )


def _refusal(reason: str, kind: RefusalKind) -> bytes:
    return RefusalAnswer(refused=reason, kind=kind).model_dump_json().encode()
