"""The connections of a benchmark's nodes: TLS and HTTP with as little work as there can be for an honest client.

Each connection verifies the server, its name included, under the roots that its node trusts, and shows the node's own
certificate in a handshake of its own. What is saved is Python's: nodes that trust the same roots share a context, which
is given another key and certificate before each handshake (OpenSSL copies both into the connection), and TLS is spoken
from memory to memory in the protocol itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import ssl
from functools import lru_cache
from typing import Any, Self, cast

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_END = b"\r\n\r\n"
_HOST = "127.0.0.1"
_PIECE = 65_536


class Refused(Exception):
    """The server's answer is not a good one."""


class Trust:
    """A root bundle, PEM, and a context that trusts it; ``Trust.of`` gives the same one for the same bundle."""

    def __init__(self, bundle: str) -> None:
        self.sha256 = hashlib.sha256(bundle.encode()).hexdigest()
        self._anonymous = self._context(bundle)
        self._mutual = self._context(bundle)

    @classmethod
    @lru_cache(maxsize=16)
    def of(cls, bundle: str) -> Self:
        """The one for a bundle."""
        return cls(bundle)

    def call(self, identity: bytes | None) -> Call:
        """A client's end of a connection that is still to be opened, with key and certificate, PEM, if given."""
        context = self._anonymous
        if identity is not None:
            context = self._mutual
            context.load_cert_chain(_in_memory(identity))
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        return Call(context.wrap_bio(incoming, outgoing, server_hostname=_HOST), incoming, outgoing)

    @staticmethod
    def _context(bundle: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=bundle)
        return context


def _in_memory(identity: bytes) -> str:
    """A file for ``ssl``, which takes nothing else, that is on no disk; it lasts until the next one."""
    descriptor = _memory()
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, identity, 0)
    return f"/proc/self/fd/{descriptor}"


@lru_cache(maxsize=1)
def _memory() -> int:
    return os.memfd_create("identity", os.MFD_CLOEXEC)


class Call(asyncio.Protocol):
    """One connection of a node, for one request at a time.

    Args:
        tls: its end.
        incoming, outgoing: what that reads and writes.
    """

    def __init__(self, tls: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self._tls, self._incoming, self._outgoing = tls, incoming, outgoing
        self._received = bytearray()
        self._answer: asyncio.Future[bytes] | None = None
        self._opening: asyncio.Future[None] | None = None
        self.has_ended = False

    async def open(self, port: int) -> None:
        """Connect and shake hands.

        Raises:
            OSError, EOFError: that did not succeed.
        """
        loop = asyncio.get_running_loop()
        opening = self._opening = loop.create_future()
        await loop.create_connection(lambda: self, _HOST, port)
        await opening

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._shake_hands()

    def data_received(self, data: bytes) -> None:
        self._incoming.write(data)
        try:
            if self._opening and self._shake_hands():
                self._opening.set_result(None)
                self._opening = None
            if not self._opening:
                self._read()
        except ssl.SSLError as error:
            self._end(error)
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or EOFError("the connection ended"))

    async def ask(self, path: str, members: dict[str, str]) -> dict[str, Any]:
        """One request.

        Raises:
            Refused: the answer is not 200.
            OSError, EOFError: the connection ended.
        """
        body = json.dumps(members).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {_HOST}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        if self.has_ended:
            raise EOFError("the connection has ended")
        self._answer = asyncio.get_running_loop().create_future()
        self._tls.write(head.encode() + body)
        self._send()
        answered = await self._answer
        head_end = answered.index(_END)
        content = answered[head_end + len(_END) :]
        if not answered.startswith(b"HTTP/1.1 200"):
            raise Refused(f"{path}: {answered[:13].decode()} {content[:300].decode()}")
        answer: dict[str, Any] = json.loads(content)
        return answer

    def close(self) -> None:
        """End it at once."""
        self._transport.abort()

    def _shake_hands(self) -> bool:
        """Whether all is said."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        finally:
            self._send()
        return True

    def _read(self) -> None:
        try:
            while data := self._tls.read(_PIECE):
                self._received += data
        except ssl.SSLWantReadError:
            pass
        end = self._received.find(_END)
        length = _LENGTH.search(self._received, 0, end + 2) if end >= 0 else None
        if length and self._answer and len(self._received) >= end + len(_END) + int(length[1]):
            self._answer.set_result(bytes(self._received))
            self._answer = None
            self._received.clear()

    def _send(self) -> None:
        if octets := self._outgoing.read():
            self._transport.write(octets)

    def _end(self, error: Exception) -> None:
        self.has_ended = True
        for waiting in (self._opening, self._answer):
            if waiting is not None and not waiting.done():
                waiting.set_exception(error)
