"""An HTTP server on loopback that answers as a test says: honestly, wrongly, slowly, or not at all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer.

    Attributes:
        status, headers, body: as sent; ``Content-Length`` is told truly unless ``headers`` has it.
        drip: seconds between single bytes of the body; None for all at once.
        endless: goes on sending the body, without telling a length, until the client goes away.
        hangs: never answers.
        cuts: closes the connection after so many bytes of the body.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    drip: float | None = None
    drips_headers: bool = False
    endless: bool = False
    hangs: bool = False
    cuts: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request as it came."""

    path: str
    headers: Mapping[str, str]


Answer = Reply | Callable[[Seen], Reply]
MISSING = Reply(status=404, body=b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')


class _QuietServer(ThreadingHTTPServer):
    """Clients that go away are what is tested; nothing of it belongs on standard error."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing."""


class HostileServer:
    """Answers by path; a path that nothing stands for is 404. ``seen`` is every request, in order."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.fallback: Callable[[Seen], Reply | None] = lambda _: None
        self.seen: list[Seen] = []
        self.sent = 0
        self.ends = threading.Event()
        self._server = _QuietServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def answer_to(self, seen: Seen) -> Reply:
        self.seen.append(seen)
        found = self.answers.get(seen.path, self.answers.get(seen.path.partition("?")[0]))
        if found is None:
            return self.fallback(seen) or MISSING
        return found if isinstance(found, Reply) else found(seen)

    def paths(self, prefix: str = "") -> list[str]:
        """The paths that were asked for, in order."""
        return [seen.path for seen in self.seen if seen.path.startswith(prefix)]

    def stop(self) -> None:
        self.ends.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


@contextmanager
def hostile_server() -> Iterator[HostileServer]:
    """A server for as long as the block runs."""
    server = HostileServer()
    try:
        yield server
    finally:
        server.stop()


def _handler(server: HostileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65_536
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            seen = Seen(path=self.path, headers={name.lower(): value for name, value in self.headers.items()})
            try:
                self._send(server.answer_to(seen))
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def _send(self, reply: Reply) -> None:
            if reply.hangs:
                server.ends.wait(60)
                self.close_connection = True
                return
            if reply.drips_headers:
                self._drip_headers()
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.endless:
                self.close_connection = True
            elif "Content-Length" not in reply.headers:
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self._send_body(reply)
            if reply.cuts is not None or reply.headers.get("Connection") == "close":
                self.close_connection = True

        def _send_body(self, reply: Reply) -> None:
            if reply.drip is not None:
                for at in range(len(reply.body)):
                    self.wfile.write(reply.body[at : at + 1])
                    self.wfile.flush()
                    server.sent += 1
                    if server.ends.wait(reply.drip):
                        return
                return
            while True:
                self.wfile.write(reply.body if reply.cuts is None else reply.body[: reply.cuts])
                self.wfile.flush()
                server.sent += len(reply.body)
                if not reply.endless or server.ends.is_set():
                    return

        def _drip_headers(self) -> None:
            self.close_connection = True
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not server.ends.wait(0.05):
                self.wfile.write(b"X-Slow: 1\r\n"[:1])
                self.wfile.flush()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler


def slowly(reply: Reply, seconds: float) -> Callable[[Seen], Reply]:
    """The same answer, later."""

    def answer(_: Seen) -> Reply:
        time.sleep(seconds)
        return reply

    return answer
