"""One HTTP connection: aiohttp's protocol, tied to the registry of connections and to our shape of errors.

aiohttp parses; this class tells the registry what the connection waits for, and hands what could not be parsed to
``on_malformed`` instead of answering it in aiohttp's own words.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import cast

from aiohttp import web
from aiohttp.http import RawRequestMessage, StreamWriter

from swarmsec.server.connections import Connection, Connections, State
from swarmsec.server.rendering import WRITTEN
from swarmsec.server.settings import ServerSettings
from swarmsec.server.whole_requests import WholeRequest, take_whole

AnswerWhole = Callable[["HttpConnection", WholeRequest, "asyncio.Task[None]"], Awaitable[web.StreamResponse]]
"""Answers such a request in the task that it is given, which is the one that runs."""
AnswerMalformed = Callable[["HttpConnection", BaseException | None], web.StreamResponse]

LINGERING_SECONDS = 2.0
"""An answer that does not wait for the body reads on for so long, or the peer's kernel would drop the answer."""


class HttpConnection(web.RequestHandler):
    """One connection after its handshake."""

    __slots__ = ("_connections", "_on_malformed", "_on_whole", "connection")

    def __init__(
        self,
        manager: web.Server,
        *,
        loop: asyncio.AbstractEventLoop,
        settings: ServerSettings,
        connection: Connection,
        connections: Connections,
        on_whole: AnswerWhole,
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
            keepalive_timeout=math.inf,  # the registry of connections ends those that are idle
            auto_decompress=False,
        )
        self.connection = connection
        self._connections = connections
        self._on_whole = on_whole
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
        """Start the clock of a request's headers at their first byte, unless they are there already."""
        super().data_received(data)
        if data and self.connection.state is State.IDLE:
            # What could not be parsed is no request, and its answer must not wait for ever to be taken.
            is_request = bool(self._messages) and isinstance(self._messages[-1][0], RawRequestMessage)
            self._connections.mark(self.connection, State.BUSY if is_request else State.READING)

    async def start(self) -> None:
        """Answer requests one after another for as long as they come whole; aiohttp's own loop does from there on.

        NOTE: this is that loop without what such requests do not need: a task, a request and a writer for each, and
        looking after bodies that are still to come. It depends on what aiohttp does not promise to keep, its queue of
        messages and what wakes it; ``tests/integration/test_server_whole.py`` holds both.
        """
        try:
            while (whole := await self._next_whole()) is not None:
                stays = await self._answer(whole)
                del whole  # a connection may wait for an hour; what it asked last takes 2.5 KB
                if not stays:
                    self.close()
                    if self.transport is not None:
                        self.transport.close()
                    return
        except BaseException:
            self.force_close()
            raise
        await super().start()

    async def _next_whole(self) -> WholeRequest | None:
        """The next request, or None where aiohttp is to go on."""
        if not self._messages:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._force_close or self._buffer_paused or self._parser is None:
            return None
        whole = take_whole(*self._messages[0])
        if whole is not None:
            self._messages.popleft()
            self._parser.message_consumed()
        return whole

    async def _answer(self, whole: WholeRequest) -> bool:
        """Answer a request; whether the connection stays for another one."""
        # NOTE: aiohttp forgets the task when the connection ends. Kept by us or in a frame, each would keep the other.
        try:
            answer = await self._on_whole(self, whole, self._task_handler or _this_task())
        except ConnectionError:
            return False
        except Exception as error:  # noqa: BLE001  # the edge words every error, known or not
            if not whole.is_answered:
                await self.finish_response(self.general(whole), self._on_malformed(self, error), None)
            return False
        return (answer is WRITTEN or bool(answer.keep_alive)) and not self._close and not self._force_close

    def general(self, whole: WholeRequest) -> web.BaseRequest:
        """A request as aiohttp's answers want it."""
        whole.is_answered = True
        writer = StreamWriter(self, self._loop)
        return web.BaseRequest(whole.message, whole.payload, self, writer, _this_task(), self._loop)

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Go on reading, where reading was paused at all: aiohttp asks for it at the end of every body."""
        if self._reading_paused or self._buffer_paused:
            super().resume_reading(resume_parser)

    def send(self, octets: bytes, request: web.BaseRequest | WholeRequest) -> None:
        """Write a whole answer to a request, in one piece and without a look at what the peer takes.

        Raises:
            ConnectionResetError: the peer went away.
        """
        # This makes it an answer that has begun, so that nobody words another one, above all not for a peer that went
        # away.
        if isinstance(request, WholeRequest):
            request.is_answered = True
        else:
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


def _this_task() -> asyncio.Task[None]:
    return cast("asyncio.Task[None]", asyncio.current_task())
