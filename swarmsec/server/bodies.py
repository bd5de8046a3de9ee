"""Request bodies: read whole, within a size and a time, refused before they are read where that is possible.

A declared length above the limit is refused without reading (413), a body without declared length is counted while
it is read, and the whole of it has one time limit however it trickles (408). Content codings are refused, so nothing
is unpacked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import hdrs, web

from swarmsec.server.errors import HttpProblem
from swarmsec.server.whole_requests import WholeRequest

WITHOUT_BODY = frozenset({"GET", "HEAD"})


def take_body(request: WholeRequest, *, limit: int) -> bytes:
    """Take the body of a request that came whole.

    Args:
        limit: bytes that the route takes; 0 takes no body.

    Raises:
        HttpProblem: 413 too large.
    """
    allowed = 0 if request.method in WITHOUT_BODY else limit
    if len(request.body) > allowed:
        raise _too_large(allowed)
    return request.body


async def read_body(request: web.BaseRequest, *, limit: int, seconds: float) -> bytes:
    """Read the body of a request.

    Args:
        request: as aiohttp parsed its headers.
        limit: bytes that the route takes; 0 takes no body.
        seconds: for the whole body.

    Raises:
        HttpProblem: 413 too large, 408 too slow, 400 cut off or wrongly framed, 415 with a content coding, 417 with
            an expectation we do not know.
    """
    content, length = request.content, request.content_length
    if not request.can_read_body and not length:
        return b""
    allowed = 0 if request.method in WITHOUT_BODY else limit
    _verify_headers(request.headers, length, allowed)
    expectation = request.headers.get(hdrs.EXPECT)
    if expectation is not None:
        await _invite_body(request, expectation)
    try:
        if content.is_eof():
            # It came with the headers, so nothing is waited for.
            return _bounded(content.read_nowait(-1), allowed)
        async with asyncio.timeout(seconds):
            return await _read_counted(request, allowed)
    except TimeoutError:
        raise HttpProblem(
            f"expected the body within {seconds:g} s",
            status=HTTPStatus.REQUEST_TIMEOUT,
            code="timeout",
            hint="send all of the body at once, or over a faster connection",
            close=True,
        ) from None
    except web.RequestPayloadError:
        raise HttpProblem(
            "expected a whole and rightly framed body",
            status=HTTPStatus.BAD_REQUEST,
            code="invalid",
            hint="send as many bytes as Content-Length says, or chunks with an empty one at the end",
            close=True,
        ) from None


def _verify_headers(headers: Mapping[str, str], length: int | None, limit: int) -> None:
    if length is not None and length > limit:
        raise _too_large(limit)
    coding = headers.get(hdrs.CONTENT_ENCODING)
    if coding is not None and coding.strip().lower() != "identity":
        raise HttpProblem(
            "expected a body without content coding",
            status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            code="unsupported",
            hint="send the body as it is, without Content-Encoding",
            close=True,
        )


async def _invite_body(request: web.BaseRequest, expectation: str) -> None:
    """Answer ``Expect: 100-continue`` (RFC 9110, 10.1.1) once the headers were found good."""
    if expectation.strip().lower() != "100-continue":
        raise HttpProblem(
            "expected no expectation but 100-continue",
            status=HTTPStatus.EXPECTATION_FAILED,
            code="unsupported",
            hint="leave Expect out",
            close=True,
        )
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    # NOTE: aiohttp takes written bytes for a begun answer and would then refuse to word an error.
    request.writer.output_size = 0


def _bounded(content: bytes, limit: int) -> bytes:
    if len(content) > limit:
        raise _too_large(limit)
    return content


async def _read_counted(request: web.BaseRequest, limit: int) -> bytes:
    content = bytearray()
    while chunk := await request.content.readany():
        if len(content) + len(chunk) > limit:
            raise _too_large(limit)
        content += chunk
    return bytes(content)


def _too_large(limit: int) -> HttpProblem:
    text = f"expected a body of at most {limit} bytes, got more" if limit else "expected no body"
    hint = "send less" if limit else "leave the body out"
    return HttpProblem(text, status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE, code="too_large", hint=hint, close=True)
