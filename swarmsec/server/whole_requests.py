"""Requests that came whole: a head of the plain kind and all of its body, as nearly all do.

Nothing is left to be waited for, invited or unpacked, so they can be answered at once. What is of any other kind is
left to aiohttp and ``swarmsec.server.bodies``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import HttpVersion11, StreamReader, hdrs
from aiohttp.http import RawRequestMessage

METHODS: Final = frozenset({hdrs.METH_GET, hdrs.METH_POST, hdrs.METH_PUT, hdrs.METH_PATCH, hdrs.METH_DELETE})


@dataclass(slots=True)
class WholeRequest:
    """One such request: what was parsed, and its body."""

    method: str
    raw_path: str
    """As it was sent, the query included."""
    body: bytes
    message: RawRequestMessage
    payload: StreamReader
    is_answered: bool = False
    """Whether an answer has begun."""


def take_whole(message: object, payload: StreamReader) -> WholeRequest | None:
    """Take a request that came whole with its body; None leaves any other as it is.

    Args:
        message, payload: from aiohttp's parser; the payload of what is no request has ended as well.
    """
    if not payload.is_eof() or not isinstance(message, RawRequestMessage) or not _is_plain(message):
        return None
    return WholeRequest(message.method, message.path, payload.read_nowait(), message, payload)


def _is_plain(message: RawRequestMessage) -> bool:
    """Whether the answer needs no more than a look at the body: nothing to ask back, to decode or to end."""
    if message.version != HttpVersion11 or message.should_close or message.upgrade or message.chunked:
        return False
    headers = message.headers
    return message.method in METHODS and hdrs.EXPECT not in headers and hdrs.CONTENT_ENCODING not in headers
