"""From our answer to aiohttp's: the headers that every answer carries, and the writing itself.

NOTE: a body handed to uvloop's TLS transport in one piece is encrypted and queued whole, and the transport does not
say that the peer has stopped taking it. Large bodies are therefore written in pieces, each waiting for the one before,
so that an answer nobody reads costs a piece and not its size, and the time limit of writing means something.
"""

from __future__ import annotations

from aiohttp import hdrs, web

from swarmsec.http import Response

SERVER_NAME = "swarmsec"
PIECE = 64 * 1024


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
        outgoing: from ``render``.
        body: of the same answer, bytes.
        raw: the request that is answered.

    Raises:
        ConnectionError: the peer went away.
    """
    await outgoing.prepare(raw)
    if not isinstance(outgoing, web.Response) and raw.method != hdrs.METH_HEAD:
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
