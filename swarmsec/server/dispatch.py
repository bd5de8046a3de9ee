"""The way of one request: who asks, which route, may they, have they failed too often, the body, a place, the answer.

Refusals of the server itself (not authenticated, denied, limited) are durable in the refusal log before they are
answered; where they cannot be logged the answer is 503. What a handler refuses is logged by the part behind it.

What counts as a failed attempt: on a route that takes a credential (one with ``attempt_keys``) every answer of
``CREDENTIAL_FAILURES``, on other routes only 401 and 403. It counts against the caller on that route (their
certificate, or the address of an anonymous one), and against the route's own keys wherever they are used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import NoReturn

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from swarmsec.errors import Denied, TooManyAttempts, Unauthenticated, Unavailable
from swarmsec.http import Caller, Request, Response, RoleKind, Route, no_attempt_keys
from swarmsec.server.addresses import site_of
from swarmsec.server.bodies import read_body, take_body
from swarmsec.server.connections import Connection
from swarmsec.server.errors import HttpProblem, build_error_response, is_defect
from swarmsec.server.identify import identify_peer
from swarmsec.server.limits import Admission, AttemptLimiter
from swarmsec.server.logs import log_defect, log_request
from swarmsec.server.metrics import Metrics
from swarmsec.server.ports import AccessDecision, Identities, Refusal
from swarmsec.server.refusals import RefusalRecorder
from swarmsec.server.routes import RouteTable
from swarmsec.server.targets import parse_target
from swarmsec.server.whole_requests import WholeRequest

CREDENTIAL_FAILURES = frozenset({400, 401, 403, 404})
FAILURES = frozenset({401, 403})
NO_ROUTE = "none"
UNQUEUED = frozenset({"healthz"})
"""Liveness says that the process answers, above all when it is busy."""
_ANOTHER_ROLE = (
    "use an identity of a role that may; an admin makes one with: swarmsec access add NAME --role ROLE --out DIR"
)


@dataclass(slots=True, kw_only=True)
class Exchange:
    """What is known so far about one request; filled on its way."""

    request_id: str
    started: float
    connection: Connection
    method: str
    route: Route | None = None
    caller: Caller | None = None
    request: Request | None = None
    closes: bool = False
    """Whether the connection ends with the answer."""

    @property
    def route_name(self) -> str:
        """The route's name in logs and metrics."""
        return self.route.name if self.route else NO_ROUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatcher:
    """Answers requests; see the module for the order of the steps."""

    routes: RouteTable
    identities: Identities
    access: AccessDecision
    refusals: RefusalRecorder
    limiter: AttemptLimiter
    admission: Admission
    metrics: Metrics
    body_timeout: float
    monotonic: Callable[[], float]

    async def answer(self, exchange: Exchange, raw: web.BaseRequest | WholeRequest) -> Response:
        """Answer one request; whatever goes wrong has an answer too.

        Raises:
            ConnectionError: the peer went away, so there is nobody to answer.
        """
        try:
            response = await self._proceed(exchange, raw)
        except Exception as error:  # the edge words every error, known or not
            if isinstance(error, ConnectionError) and isinstance(raw, web.BaseRequest) and raw.transport is None:
                raise  # the peer went away while its body was read
            response = self._explain(exchange, error)
        # NOTE: whoever leaves before the answer has tried all the same.
        if response.status in CREDENTIAL_FAILURES:
            self._count_failure(exchange, response.status)
        return response

    def answer_malformed(self, exchange: Exchange, error: BaseException | None) -> Response:
        """Answer what is no HTTP request (``error`` of the parser), or what failed after all (anything else)."""
        exchange.closes = True
        if error is not None and not _is_parser_error(error):
            return self._explain(exchange, error)
        if isinstance(error, LineTooLong):
            return self._explain(exchange, _too_long())
        return self._explain(exchange, _malformed())

    def finish(self, exchange: Exchange, status: int) -> None:
        """Count and log an answered request."""
        seconds = self.monotonic() - exchange.started
        route = exchange.route_name
        self.metrics.requests.observe(route, status, seconds)
        role, name = _named(exchange.caller)
        log_request(
            exchange.request_id,
            seconds,
            method=exchange.method,
            route=route,
            status=status,
            role=role,
            name=name,
            address=exchange.connection.address,
        )

    async def _proceed(self, exchange: Exchange, raw: web.BaseRequest | WholeRequest) -> Response:
        try:
            found = identify_peer(self.identities, exchange.connection)
            caller = exchange.caller = found if isinstance(found, Caller) else await found
        except Unauthenticated as error:
            exchange.closes = True
            await self._refuse(exchange, "unauthenticated", str(error))
            raise
        target = parse_target(raw.raw_path)
        match = self.routes.match(raw.method, target)
        route = exchange.route = match.route
        # Where nobody has failed lately, nothing is to be looked at.
        if len(self.limiter):
            await self._verify_attempts(exchange)
        reason = self.access.refusal(route.name, caller)
        if reason is not None:
            await self._deny(exchange, route, caller, reason)
        if isinstance(raw, WholeRequest):
            body = take_body(raw, limit=route.body_limit)
        else:
            body = await read_body(raw, limit=route.body_limit, seconds=self.body_timeout)
        request = exchange.request = Request(
            method=raw.method,
            path=target.path,
            caller=caller,
            request_id=exchange.request_id,
            began=exchange.started,
            query=target.query,
            body=body,
            path_values=match.values,
        )
        if len(self.limiter):
            await self._verify_attempts(exchange)
        if route.name in UNQUEUED:
            return await route.handler(request)
        if not self.admission.take_free():
            await self.admission.wait()
        try:
            return await route.handler(request)
        finally:
            self.admission.give_back()

    async def _verify_attempts(self, exchange: Exchange) -> None:
        try:
            self.limiter.verify_allowed(_attempt_keys(exchange))
        except TooManyAttempts as error:
            await self._refuse(exchange, "limited", str(error))
            raise

    async def _deny(self, exchange: Exchange, route: Route, caller: Caller, reason: str) -> NoReturn:
        await self._refuse(exchange, "denied", reason)
        is_anonymous = caller.role.kind is RoleKind.ANONYMOUS
        hint = "present a client certificate of a role that may" if is_anonymous else _ANOTHER_ROLE
        raise Denied(f"role {caller.role.kind} may not call {route.name}", hint=hint)

    async def _refuse(self, exchange: Exchange, kind: str, reason: str) -> None:
        """Make a refusal durable; it is answered only after that."""
        self.metrics.refusals.labels(exchange.route_name, kind).inc()
        caller = exchange.caller
        refusal = Refusal(
            route=exchange.route_name,
            address=exchange.connection.address,
            reason=reason,
            role=str(caller.role) if caller else "",
            name=caller.name if caller else "",
            certificate_sha256=exchange.connection.certificate_sha256,
            request_id=exchange.request_id,
        )
        try:
            await self.refusals.record(refusal)
        except Exception as error:
            self.metrics.audit_write_failures.inc()
            log_defect("refusal not logged", error, **_who(exchange))
            raise Unavailable("the refusal could not be logged", hint="try again later") from error

    def _explain(self, exchange: Exchange, error: BaseException) -> Response:
        if is_defect(error):
            log_defect("defect", error, **_who(exchange))
        if isinstance(error, HttpProblem) and error.close:
            exchange.closes = True
        return build_error_response(error, exchange.request_id)

    def _count_failure(self, exchange: Exchange, status: int) -> None:
        """Charge an attempt that failed with one of ``CREDENTIAL_FAILURES``, if that is a failure on its route."""
        if exchange.route is None:
            return
        takes_credential = exchange.route.attempt_keys is not no_attempt_keys
        if takes_credential or status in FAILURES:
            self.limiter.count_failure(_attempt_keys(exchange))


def _too_long() -> HttpProblem:
    return HttpProblem(
        "expected a shorter request line or header",
        status=HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        code="too_large",
        hint="shorten the path and its query, or leave headers out",
    )


def _malformed() -> HttpProblem:
    return HttpProblem(
        "expected an HTTP/1.1 request",
        status=HTTPStatus.BAD_REQUEST,
        code="malformed",
        hint="send it as an HTTP/1.1 client does (RFC 9112)",
    )


def _attempt_keys(exchange: Exchange) -> list[str]:
    """What an attempt counts against, as far as it is known: the caller, then what the request names."""
    route, caller, request = exchange.route, exchange.caller, exchange.request
    keys = [_caller_key(route, caller)] if route and caller else []
    return keys + [f"key|{key}" for key in route.attempt_keys(request)] if route and request else keys


def _caller_key(route: Route, caller: Caller) -> str:
    who = f"certificate|{caller.certificate_sha256}" if caller.certificate_sha256 else site_of(caller.address)
    return f"caller|{route.name}|{who}"


def _is_parser_error(error: BaseException) -> bool:
    return type(error).__module__ == "aiohttp.http_exceptions"


def _who(exchange: Exchange) -> dict[str, object]:
    role, name = _named(exchange.caller)
    return {
        "request_id": exchange.request_id,
        "route": exchange.route_name,
        "role": role,
        "name": name,
        "address": exchange.connection.address,
    }


@lru_cache(maxsize=4096)
def _named(caller: Caller | None) -> tuple[str, str]:
    """The role and name of whoever asks, as lines have them."""
    return ("", "") if caller is None else (str(caller.role), caller.name)
