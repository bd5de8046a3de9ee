"""HTTP over a unix socket, as the Docker Engine and its plugins speak it."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Status and exact body of one answer."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class UnixConnection(http.client.HTTPConnection):
    """An HTTP/1.1 connection to a unix socket."""

    def __init__(self, path: Path, *, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def request(path: Path, method: str, target: str, *, body: Any = None, timeout: float = 30) -> Answer:
    """Send one request on a connection of its own.

    Args:
        path: the socket.
        method, target: as in the request line.
        body: sent as JSON; None sends none.
        timeout: seconds for each step of the exchange.

    Raises:
        OSError, http.client.HTTPException: nobody listens, or the answer is no HTTP.
    """
    connection = UnixConnection(path, timeout=timeout)
    try:
        if body is None:
            connection.request(method, target)
        else:
            connection.request(method, target, json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        return Answer(status=response.status, body=response.read())
    finally:
        connection.close()
