"""What the stand-ins of a Docker Engine have in common: HTTP answered by one function, in a thread of their own."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from socketserver import BaseServer, ThreadingMixIn, UnixStreamServer
from types import TracebackType
from typing import Self

Answering = Callable[[str, str, bytes], tuple[int, bytes] | None]
"""Method, target and body to status and JSON; None to say nothing and hang up."""


class UnixServer(ThreadingMixIn, UnixStreamServer):
    """Serves each connection in a thread of its own."""

    daemon_threads = True
    # As long as Docker's own. A client knocks before each request and does not wait to be let in, so that one
    # which asks again at once fills a short queue where the machine is busy; a Unix socket answers EAGAIN then.
    request_queue_size = 4096


class StandIn:
    """Serves in a thread of its own for as long as a block runs, or until it is stopped.

    Args:
        server: bound already; it is closed at the end.
    """

    def __init__(self, server: BaseServer) -> None:
        self.ended = threading.Event()
        """Set as the end begins, for answers that wait."""
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Answer nobody any more."""
        if not self.ended.is_set():
            self.ended.set()
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()


def json_handler(answering: Answering) -> type[BaseHTTPRequestHandler]:
    """A handler for ``http.server`` that lets a function answer."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except (ConnectionError, ssl.SSLError):
                # The client went away, or was killed by a test.
                self.close_connection = True

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = answering(self.command, self.path, body)
            if answer is None:
                self.close_connection = True
                return
            status, content = answer
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815  # the names that http.server looks for

        def address_string(self) -> str:
            return "local"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name that http.server has
            pass

    return Handler


def path_of(target: str) -> str:
    """The path of a request without the API's version and the query."""
    path = target.partition("?")[0]
    return "/" + path.split("/", 2)[-1] if path.startswith("/v1.") else path
