"""From our answer to aiohttp's: the headers that every answer carries, and the writing itself.

NOTE: a body handed to uvloop's TLS transport in one piece is encrypted and queued whole, and the transport does not
say that the peer has stopped taking it. Large bodies are therefore written in pieces, each waiting for the one before,
so that an answer nobody reads costs a piece and not its size, and the time limit of writing means something.

The commonest answer, 200 with a small body on a connection that stays, is worded here as octets, whether or not it says
when to come again: aiohttp's way to the same octets takes 20 calls and as many objects.
"""

from __future__ import annotations

from email.utils import formatdate
from functools import lru_cache
from typing import Final

from aiohttp import HttpVersion11, hdrs, web

from swarmsec.http import Response
from swarmsec.server.whole_requests import WholeRequest

SERVER_NAME = "swarmsec"
PIECE = 64 * 1024
_PLAIN_HEADERS = frozenset({hdrs.RETRY_AFTER})
MAX_PLAIN = 32 * 1024
"""Bytes of a body that is handed to the transport together with its head."""


class WrittenAnswer(web.StreamResponse):
    """What aiohttp is given after an answer that was octets already, and was written as such: nothing is left to do."""

    @property
    def keep_alive(self) -> bool:
        """Always: another answer ends the connection."""
        return True

    async def prepare(self, request: web.BaseRequest) -> None:
        """Nothing is left to write."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to write."""


WRITTEN: Final = WrittenAnswer()
"""There is nothing in it that one request could leave to another."""


def render_plain(response: Response, request_id: str, raw: web.BaseRequest | WholeRequest, unix: int) -> bytes | None:
    """Render an answer as octets, head and body, or return None where it is not of the commonest kind.

    Args:
        response: status, body and headers.
        request_id: as of ``render``.
        raw: the request that is answered.
        unix: the time in seconds, for ``Date``.
    """
    body = response.body
    if response.status != 200 or not 0 < len(body) <= MAX_PLAIN or not response.headers.keys() <= _PLAIN_HEADERS:
        return None
    if not isinstance(raw, WholeRequest) and not _takes_plain(raw):
        return None
    own = tuple(response.headers.items()) if response.headers else ()
    parts = (_plain_head(response.content_type, own), _date(unix), request_id.encode("ascii"))
    return b"%b%b\r\nX-Request-Id: %b\r\nContent-Length: %d\r\n\r\n%b" % (*parts, len(body), body)


def _takes_plain(raw: web.BaseRequest) -> bool:
    return raw.version == HttpVersion11 and raw.method != hdrs.METH_HEAD and raw.keep_alive


@lru_cache(maxsize=256)
def _plain_head(content_type: str, own: tuple[tuple[str, str], ...]) -> bytes:
    for value in (content_type, *(value for _, value in own)):
        if not (value.isascii() and value.isprintable()):
            raise ValueError(f"expected the value of a header, got {value!r:.40}")
    head = (
        "HTTP/1.1 200 OK",
        f"{hdrs.SERVER}: {SERVER_NAME}",
        f"{hdrs.CACHE_CONTROL}: no-store",
        "X-Content-Type-Options: nosniff",
        f"{hdrs.CONTENT_TYPE}: {content_type}",
        *(f"{name}: {value}" for name, value in own),
        f"{hdrs.DATE}: ",
    )
    return "\r\n".join(head).encode("ascii")


@lru_cache(maxsize=2)
def _date(unix: int) -> bytes:
    return formatdate(unix, usegmt=True).encode("ascii")


def render(response: Response, request_id: str, *, closes: bool) -> web.StreamResponse:
    """Render an answer.

    Args:
        response: status, body and headers; a header given there wins over the ones set here.
        request_id: shown to the caller, who can quote it.
        closes: whether the connection ends with this answer.
    """
    headers = {
        hdrs.SERVER: SERVER_NAME,
        hdrs.CACHE_CONTROL: "no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Request-Id": request_id,
        **response.headers,
    }
    if response.body:
        headers[hdrs.CONTENT_TYPE] = response.content_type
    if closes:
        headers[hdrs.CONNECTION] = "close"
    outgoing = _build(response, headers)
    if closes:
        outgoing.force_close()
    return outgoing


async def write(outgoing: web.StreamResponse, body: bytes, raw: web.BaseRequest) -> None:
    """Write a rendered answer and wait until the peer has taken nearly all of it.

    Args:
        outgoing: from ``render``, or ``WRITTEN`` where all is written already.
        body: of the same answer, bytes.
        raw: the request that is answered.

    Raises:
        ConnectionError: the peer went away.
    """
    await outgoing.prepare(raw)
    if outgoing is not WRITTEN and not isinstance(outgoing, web.Response) and raw.method != hdrs.METH_HEAD:
        view = memoryview(body)
        for start in range(0, len(view), PIECE):
            await outgoing.write(view[start : start + PIECE])
            await raw.writer.drain()
    await outgoing.write_eof()
    await raw.writer.drain()


def _build(response: Response, headers: dict[str, str]) -> web.StreamResponse:
    if len(response.body) <= PIECE:
        return web.Response(status=response.status, body=response.body, headers=headers)
    outgoing = web.StreamResponse(status=response.status, headers=headers)
    outgoing.content_length = len(response.body)
    return outgoing
