"""One unary gRPC call over HTTP/2: a connection, a message out, a bounded message back.

The wire is that of "gRPC over HTTP2" (github.com/grpc/grpc, PROTOCOL-HTTP2.md): the message goes in one frame of five
bytes and its content, and how the call went stands in the trailers. What HTTP/2 itself asks for is done by ``h2``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import unquote

from swarmsec.docker.engine import printable
from swarmsec.errors import Denied, SwarmsecError, Unavailable

if TYPE_CHECKING:
    from h2.connection import H2Connection

_READ: Final = 1 << 16
_FRAME: Final = 5
_OK, _PERMISSION_DENIED, _UNAUTHENTICATED = "0", "7", "16"
_MAX_WORDS: Final = 1024


class Connection(Protocol):
    """What a TLS socket offers."""

    def recv(self, size: int, /) -> bytes: ...
    def sendall(self, data: bytes, /) -> None: ...
    def settimeout(self, seconds: float | None, /) -> None: ...


@dataclass(slots=True, kw_only=True)
class _Answer:
    content: bytearray = field(default_factory=bytearray)
    headers: dict[str, str] = field(default_factory=dict)
    is_over: bool = False


def call_unary(
    connection: Connection, path: str, message: bytes, *, authority: str, limit: int, seconds: float
) -> bytes:
    """Make one call on a fresh connection.

    Args:
        path: ``/PACKAGE.SERVICE/METHOD``.
        message: of the request.
        authority: the server's name.
        limit: how many bytes the answer's message may have.
        seconds: for the whole call.

    Returns:
        the answer's message.

    Raises:
        Denied: the server refuses the caller.
        Unavailable: it fails, does not answer in time or within the limit, or does not speak gRPC.
        OSError: the connection broke.
    """
    from h2.config import H2Configuration
    from h2.connection import H2Connection
    from h2.exceptions import H2Error

    http = H2Connection(config=H2Configuration(client_side=True, header_encoding="utf-8"))
    answer = _Answer()
    ends = time.monotonic() + seconds
    try:
        _send(http, path, message, authority, seconds)
        while not answer.is_over:
            connection.settimeout(_left(ends))
            connection.sendall(http.data_to_send())
            received = connection.recv(_READ)
            if not received:
                raise Unavailable("the control API ended the connection", hint="repeat")
            for event in http.receive_data(received):
                _take(http, event, answer, limit)
    except TimeoutError:
        raise _late() from None
    except H2Error as error:
        raise Unavailable(f"expected gRPC: {printable(str(error))[:120]}", hint="check the address") from None
    return parse_answer(answer.headers, bytes(answer.content))


def parse_answer(headers: dict[str, str], content: bytes) -> bytes:
    """The message of an answer, if it is a good one.

    Args:
        headers: leading and trailing ones.
        content: the body.

    Raises:
        Denied, Unavailable: it is not.
    """
    status = headers.get("grpc-status")
    if headers.get(":status") != "200" or status is None:
        raise Unavailable("expected an answer of gRPC, got something else", hint="check the address")
    if status != _OK:
        raise _refusal(status, printable(unquote(headers.get("grpc-message", "")[:_MAX_WORDS])))
    if len(content) < _FRAME or content[0] != 0 or int.from_bytes(content[1:_FRAME]) != len(content) - _FRAME:
        raise Unavailable("expected one message of gRPC, uncompressed", hint="check that SwarmKit listens there")
    return content[_FRAME:]


def _send(http: H2Connection, path: str, message: bytes, authority: str, seconds: float) -> None:
    http.initiate_connection()
    stream = http.get_next_available_stream_id()
    headers = [
        (":method", "POST"),
        (":scheme", "https"),
        (":path", path),
        (":authority", authority),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", "swarmsec"),
        ("grpc-timeout", f"{max(1, round(seconds))}S"),
    ]
    http.send_headers(stream, headers)
    http.send_data(stream, b"\0" + len(message).to_bytes(4) + message, end_stream=True)


def _take(http: H2Connection, event: Any, answer: _Answer, limit: int) -> None:
    from h2 import events

    match event:
        case events.ResponseReceived() | events.TrailersReceived():
            answer.headers |= {str(name): str(value) for name, value in event.headers or ()}
        case events.DataReceived():
            answer.content += event.data or b""
            if len(answer.content) > limit + _FRAME:
                raise Unavailable(f"expected at most {limit} bytes from the control API")
            http.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
        case events.StreamEnded():
            answer.is_over = True
        case events.StreamReset() | events.ConnectionTerminated():
            raise Unavailable("the control API broke the call off", hint="repeat; the engine's log says more")


def _refusal(status: str, words: str) -> SwarmsecError:
    if status in {_PERMISSION_DENIED, _UNAUTHENTICATED}:
        return Denied(f"the control API refuses: {words}", hint="it serves managers alone")
    return Unavailable(f"the control API failed: {words or f'gRPC status {printable(status)[:8]}'}", hint="repeat")


def _left(ends: float) -> float:
    left = ends - time.monotonic()
    if left <= 0:
        raise _late()
    return left


def _late() -> Unavailable:
    return Unavailable("the control API did not answer in time", hint="see how the Swarm is doing: docker node ls")
