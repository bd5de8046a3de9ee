"""The server as its owner sees it: start, change TLS material, close revoked connections, stop.

Everything else in this package is a part that this module joins; it decides nothing itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from asyncio import current_task
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from aiohttp import web

from swarmsec.http import Response, Route
from swarmsec.server.connections import Connection, Connections, Patience, State
from swarmsec.server.dispatch import Dispatcher, Exchange
from swarmsec.server.health import build_health_routes
from swarmsec.server.limits import Admission, AttemptLimiter
from swarmsec.server.listener import Listener, open_sockets
from swarmsec.server.logs import log_defect, log_event
from swarmsec.server.metrics import Metrics
from swarmsec.server.openapi import build_openapi_route
from swarmsec.server.ports import AccessDecision, Identities, Readiness, RefusalLog, TlsSource
from swarmsec.server.protocol import HttpConnection
from swarmsec.server.refusals import WINDOW_SECONDS, RefusalRecorder
from swarmsec.server.rendering import WRITTEN, render, render_plain, write
from swarmsec.server.request_ids import RequestIds
from swarmsec.server.routes import RouteTable
from swarmsec.server.settings import ServerSettings
from swarmsec.server.tls import build_context, removes_roots
from swarmsec.server.whole_requests import WholeRequest

SECONDS_TO_DIE = 1.0
"""For a handler that was cancelled to let go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerParts:
    """What the server works with; ``routes`` are those of the parts behind it, the server adds its own."""

    identities: Identities
    access: AccessDecision
    refusal_log: RefusalLog
    tls: TlsSource
    readiness: Readiness
    metrics: Metrics
    routes: Sequence[Route]
    version: str
    monotonic: Callable[[], float] = field(default=time.monotonic)


class Server:
    """One HTTPS server in one event loop.

    Args:
        settings: where to listen and what to bound.
        parts: ports and routes.

    Raises:
        ValueError: two routes collide, or one cannot be served.
    """

    def __init__(self, settings: ServerSettings, parts: ServerParts) -> None:
        self._settings = settings
        self._parts = parts
        self._is_stopping = False
        self._request_ids = RequestIds(os.urandom)
        self._at_work: set[asyncio.Task[None]] = set()
        self._connections = Connections(
            limit=settings.max_connections,
            patience=Patience(
                handshake=settings.handshake_timeout, headers=settings.header_timeout, idle=settings.idle_timeout
            ),
            clock=parts.monotonic,
        )
        self._refusals = RefusalRecorder(
            parts.refusal_log,
            each=settings.refusals_per_minute,
            in_all=settings.refusals_per_minute_in_all,
            max_keys=settings.refusal_keys,
        )
        self._dispatcher = self._build_dispatcher()
        self._listener: Listener | None = None
        self._chores: list[asyncio.Task[None]] = []

    @property
    def connections(self) -> Connections:
        """The open connections."""
        return self._connections

    async def start(self) -> list[tuple[str, int]]:
        """Listen, and return the bound addresses as (address, port).

        Raises:
            Unavailable: an address cannot be listened on.
            UsageProblem: the TLS material cannot be used.
        """
        settings, material = self._settings, self._parts.tls.current()
        context = build_context(material)
        self._served = material
        sockets = open_sockets(settings.host, settings.port, backlog=settings.backlog, reuse_port=settings.reuse_port)
        self._http = web.Server(self._handle)
        self._listener = Listener(
            sockets,
            context=context,
            connections=self._connections,
            protocol=self._build_protocol,
            handshake_timeout=settings.handshake_timeout,
            on_handshake=lambda result: self._parts.metrics.handshakes.labels(result).inc(),
        )
        self._parts.metrics.tls_generation.set(material.generation)
        self._chores = [asyncio.create_task(self._sweep()), asyncio.create_task(self._end_windows())]
        self._listener.start()
        return self._listener.addresses

    async def swap_tls(self) -> None:
        """Serve with the newest TLS material from the next connection on; open connections stay.

        Handshakes under way end where a root was removed, so that none of them finishes under it.

        Raises:
            UsageProblem: the TLS material cannot be used; the server goes on with what it had.
        """
        if self._listener is None:
            return
        material = self._parts.tls.current()
        is_narrower = removes_roots(self._served.client_roots_pem, material.client_roots_pem)
        self._listener.swap(build_context(material), ends_handshakes=is_narrower)
        self._served = material
        self._parts.metrics.tls_generation.set(material.generation)
        log_event(logging.INFO, "tls swapped", generation=material.generation)

    async def close_revoked(self, certificate_sha256s: Sequence[str]) -> int:
        """End every connection of the given client certificates; return how many.

        Args:
            certificate_sha256s: SHA-256 of the certificates in DER, lower-case hex.
        """
        closed = sum(self._connections.close_for(fingerprint) for fingerprint in certificate_sha256s)
        log_event(logging.INFO, "revoked connections closed", count=closed)
        return closed

    async def stop(self, grace_seconds: float) -> None:
        """Accept no more, let requests at work finish, close.

        Args:
            grace_seconds: how long requests at work may take; after that they are cut off.
        """
        self._is_stopping = True
        if self._listener is None:
            return
        await self._listener.stop()
        self._connections.close_where(lambda connection: connection.state is not State.BUSY)
        try:
            async with asyncio.timeout(grace_seconds):
                await self._connections.wait_until(lambda: len(self._connections) == 0)
        except TimeoutError:
            await self._cut_off()
        # NOTE: aiohttp takes 0 for "without limit".
        await self._http.shutdown(SECONDS_TO_DIE)
        self._connections.close_where(lambda connection: True)
        for chore in self._chores:
            chore.cancel()
        await asyncio.gather(*self._chores, return_exceptions=True)
        await self._flush_refusals(self._refusals.flush)

    async def _cut_off(self) -> None:
        log_event(logging.WARNING, "requests cut off", count=len(self._at_work))
        for task in self._at_work:
            task.cancel()
        if self._at_work:
            await asyncio.wait(self._at_work, timeout=SECONDS_TO_DIE)

    def _build_dispatcher(self) -> Dispatcher:
        settings, parts = self._settings, self._parts
        routes = [*parts.routes, *build_health_routes(parts.readiness), parts.metrics.route()]
        return Dispatcher(
            routes=RouteTable([*routes, build_openapi_route(routes, version=parts.version)]),
            identities=parts.identities,
            access=parts.access,
            refusals=self._refusals,
            limiter=AttemptLimiter(
                burst=settings.attempt_burst,
                per_minute=settings.attempts_per_minute,
                max_keys=settings.attempt_keys,
                clock=parts.monotonic,
            ),
            admission=Admission(
                max_running=settings.max_running,
                max_waiting=settings.max_waiting,
                max_wait=settings.max_wait,
                jitter=secrets.randbelow,
            ),
            metrics=parts.metrics,
            body_timeout=settings.body_timeout,
            monotonic=parts.monotonic,
        )

    def _build_protocol(self, connection: Connection) -> HttpConnection:
        return HttpConnection(
            self._http,
            loop=asyncio.get_running_loop(),
            settings=self._settings,
            connection=connection,
            connections=self._connections,
            on_whole=self._serve,
            on_malformed=self._handle_malformed,
        )

    def _begin(self, connection: Connection, method: str) -> Exchange:
        return Exchange(
            request_id=self._request_ids.make(time.time_ns() // 1_000_000),
            started=self._parts.monotonic(),
            connection=connection,
            method=method,
        )

    async def _handle(self, raw: web.BaseRequest) -> web.StreamResponse:
        """Answer a request that aiohttp's own loop hands over, in a task of its own."""
        return await self._serve(cast(HttpConnection, raw.protocol), raw, cast("asyncio.Task[None]", current_task()))

    async def _serve(
        self, protocol: HttpConnection, raw: web.BaseRequest | WholeRequest, task: asyncio.Task[None]
    ) -> web.StreamResponse:
        """Answer one request, the writing of the answer included, so that a slow reader is bounded as well."""
        connection = protocol.connection
        if connection.state is not State.BUSY:
            self._connections.mark(connection, State.BUSY)
        self._at_work.add(task)
        try:
            exchange = self._begin(connection, raw.method)
            response = await self._dispatcher.answer(exchange, raw)
            octets = self._render_plain(response, exchange, raw)
            outgoing = self._render(response, exchange) if octets is None else WRITTEN
            try:
                if octets is not None:
                    protocol.send(octets, raw)
                if octets is None or protocol.writing_paused:
                    general = protocol.general(raw) if isinstance(raw, WholeRequest) else raw
                    await self._write(outgoing, response.body, general, connection)
            finally:
                self._dispatcher.finish(exchange, response.status)
            return outgoing
        finally:
            self._at_work.discard(task)
            self._connections.mark(connection, State.IDLE)

    def _handle_malformed(self, protocol: HttpConnection, error: BaseException | None) -> web.StreamResponse:
        exchange = self._begin(protocol.connection, "")
        response = self._dispatcher.answer_malformed(exchange, error)
        self._dispatcher.finish(exchange, response.status)
        return self._render(response, exchange)

    def _render(self, response: Response, exchange: Exchange) -> web.StreamResponse:
        return render(response, exchange.request_id, closes=exchange.closes or self._is_stopping)

    def _render_plain(
        self, response: Response, exchange: Exchange, raw: web.BaseRequest | WholeRequest
    ) -> bytes | None:
        if exchange.closes or self._is_stopping:
            return None
        return render_plain(response, exchange.request_id, raw, int(time.time()))

    async def _write(
        self, outgoing: web.StreamResponse, body: bytes, raw: web.BaseRequest, connection: Connection
    ) -> None:
        try:
            async with asyncio.timeout(self._settings.write_timeout):
                await write(outgoing, body, raw)
        except TimeoutError:
            connection.abort()
            raise ConnectionResetError("the peer does not take the answer") from None

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._settings.sweep_interval)
            try:
                self._connections.close_overdue()
            except Exception as error:  # noqa: BLE001  # time limits must not end with one bad connection
                log_defect("sweep failed", error)
            self._parts.metrics.connections.set(len(self._connections))

    async def _end_windows(self) -> None:
        while True:
            await asyncio.sleep(WINDOW_SECONDS)
            await self._flush_refusals(self._refusals.end_window)

    async def _flush_refusals(self, flush: Callable[[], Awaitable[None]]) -> None:
        try:
            await flush()
        except Exception as error:  # noqa: BLE001  # the counts are kept, and refusals fail until the log works
            self._parts.metrics.audit_write_failures.inc()
            log_defect("refusals not logged", error)
