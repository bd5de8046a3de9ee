"""A real Docker Engine with something between it and its client: somebody who is faster, or a line that goes dead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.peers.http_handler import StandIn, UnixServer, json_handler, path_of
from tests.peers.unix_http import UnixConnection

STALL_SECONDS = 60.0


class EngineProxy(StandIn):
    """Hands every request on to an engine and its answer back.

    Args:
        socket: where it listens.
        engine: the engine's own.
    """

    def __init__(self, socket: Path, engine: Path) -> None:
        super().__init__(UnixServer(str(socket), json_handler(self._hand_on)))
        self.url = f"unix://{socket}"
        self.before: Callable[[str, str], None] = lambda method, path: None
        """Called with each request before the engine hears of it; the path without its version and query."""
        self.stalls: Callable[[str, str], bool] = lambda method, path: False
        """Whether the engine never hears of a request, and its client nothing more."""
        self._engine = engine

    def _hand_on(self, method: str, target: str, body: bytes) -> tuple[int, bytes] | None:
        path = path_of(target)
        if self.stalls(method, path):
            self.ended.wait(STALL_SECONDS)
            return None
        self.before(method, path)
        connection = UnixConnection(self._engine, timeout=STALL_SECONDS)
        try:
            connection.request(method, target, body or None, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()
