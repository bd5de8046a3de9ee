"""One HTTP connection: aiohttp's protocol, tied to the registry of connections and to our shape of errors.

aiohttp parses; this class tells the registry what the connection waits for, and hands what could not be parsed to
``on_malformed`` instead of answering it in aiohttp's own words.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from aiohttp import web

from swarmsec.server.connections import Connection, Connections, State
from swarmsec.server.settings import ServerSettings

AnswerMalformed = Callable[["HttpConnection", BaseException | None], web.StreamResponse]

LINGERING_SECONDS = 2.0
"""An answer that does not wait for the body reads on for so long, or the peer's kernel would drop the answer."""


class HttpConnection(web.RequestHandler):
    """One connection after its handshake."""

    __slots__ = ("_connections", "_on_malformed", "connection")

    def __init__(
        self,
        manager: web.Server,
        *,
        loop: asyncio.AbstractEventLoop,
        settings: ServerSettings,
        connection: Connection,
        connections: Connections,
        on_malformed: AnswerMalformed,
    ) -> None:
        super().__init__(
            manager,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # aiohttp's way to say "no access log"
            max_line_size=settings.max_line,
            max_field_size=settings.max_header_field,
            max_headers=settings.max_headers,
            lingering_time=LINGERING_SECONDS,
            auto_decompress=False,
        )
        self.connection = connection
        self._connections = connections
        self._on_malformed = on_malformed

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the peer's certificate from the finished handshake."""
        ssl_object = transport.get_extra_info("ssl_object")
        real_transport = cast(asyncio.Transport, transport)
        self._connections.establish(self.connection, ssl_object.getpeercert(True), real_transport.abort)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Leave the registry."""
        self._connections.forget(self.connection)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Start the clock of a request's headers at their first byte."""
        if data and self.connection.state is State.IDLE:
            self._connections.mark(self.connection, State.READING)
        super().data_received(data)

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Go on reading, where reading was paused at all: aiohttp asks for it at the end of every body."""
        if self._reading_paused or self._buffer_paused:
            super().resume_reading(resume_parser)

    def send(self, octets: bytes, request: web.BaseRequest) -> None:
        """Write a whole answer to a request, in one piece and without a look at what the peer takes.

        Raises:
            ConnectionResetError: the peer went away.
        """
        # NOTE: this makes it an answer that has begun, so that ``handle_error`` words no other one, above all not for a
        # peer that went away.
        request.writer.output_size += len(octets)
        transport = self.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the peer went away")
        transport.write(octets)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what could not be parsed; nothing of what was sent is repeated or logged."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        return self._on_malformed(self, exc)

    def log_exception(self, *args: object, **kw: object) -> None:
        """Keep aiohttp from logging requests in its own words; our handler lets nothing escape."""
