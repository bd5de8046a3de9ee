"""From our answer to aiohttp's: the headers that every answer carries."""

from __future__ import annotations

from aiohttp import hdrs, web

from swarmsec.http import Response

SERVER_NAME = "swarmsec"


def render(response: Response, request_id: str, *, closes: bool) -> web.Response:
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
    outgoing = web.Response(status=response.status, body=response.body, headers=headers)
    if closes:
        outgoing.force_close()
    return outgoing
