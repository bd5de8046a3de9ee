"""A real Docker Engine with something between it and its client: somebody who is faster, or a line that goes dead."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.peers.unix_http import UnixConnection

STALL_SECONDS = 60.0


class EngineProxy:
    """Hands every request on to an engine and its answer back.

    Args:
        socket: where it listens.
        engine: the engine's own.
    """

    def __init__(self, socket: Path, engine: Path) -> None:
        self.url = f"unix://{socket}"
        self.before: Callable[[str, str], None] = lambda method, path: None
        """Called with each request before the engine hears of it; the path without its version and query."""
        self.stalls: Callable[[str, str], bool] = lambda method, path: False
        """Whether the engine never hears of a request, and its client nothing more."""
        self._ended = threading.Event()
        self._server = _Server(str(socket), _handler_of(self, engine))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    def wait_for_the_end(self) -> None:
        """Say nothing to a client that is stalled."""
        self._ended.wait(STALL_SECONDS)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


def _handler_of(proxy: EngineProxy, engine: Path) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _hand_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = "/" + self.path.partition("?")[0].split("/", 2)[-1] if self.path.startswith("/v1.") else self.path
            if proxy.stalls(self.command, path):
                proxy.wait_for_the_end()
                self.close_connection = True
                return
            proxy.before(self.command, path)
            connection = UnixConnection(engine, timeout=STALL_SECONDS)
            try:
                connection.request(self.command, self.path, body or None, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                status, content = answer.status, answer.read()
            finally:
                connection.close()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _hand_on  # noqa: N815  # the names that http.server looks for

        def address_string(self) -> str:
            return "local"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name that http.server has
            pass

    return Handler
