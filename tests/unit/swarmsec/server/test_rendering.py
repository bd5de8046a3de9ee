"""The commonest answers are worded as octets, and read by somebody else's parser."""

from __future__ import annotations

import http.client
import socket

import pytest
from aiohttp.test_utils import make_mocked_request

from swarmsec.http import Response
from swarmsec.server.rendering import MAX_PLAIN, render_plain

RAW = make_mocked_request("POST", "/api/v1/node/check")


def parsed(octets: bytes) -> http.client.HTTPResponse:
    near, far = socket.socketpair()
    with near, far:
        near.sendall(octets)
        near.shutdown(socket.SHUT_WR)
        response = http.client.HTTPResponse(far)
        response.begin()
        return response


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "2"}])
def test_a_plain_answer_says_what_it_is_and_when_to_come_again(headers: dict[str, str]) -> None:
    answer = render_plain(Response(body=b'{"a": 1}', headers=headers), "r-1", RAW, 0)
    assert answer is not None
    read = parsed(answer)
    assert (read.status, read.read()) == (200, b'{"a": 1}')
    assert dict(read.getheaders()) == {
        "Server": "swarmsec",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Content-Type": "application/json",
        "Date": "Thu, 01 Jan 1970 00:00:00 GMT",
        "X-Request-Id": "r-1",
        "Content-Length": "8",
        **headers,
    }


@pytest.mark.parametrize(
    "response",
    [
        Response(body=b"1", headers={"Location": "/"}),
        Response(body=b"1", headers={"Retry-After": "2", "Location": "/"}),
        Response(body=b"1", status=202),
        Response(body=b""),
        Response(body=bytes(MAX_PLAIN + 1)),
    ],
)
def test_other_answers_go_the_general_way(response: Response) -> None:
    assert render_plain(response, "r-1", RAW, 0) is None


@pytest.mark.parametrize("value", ["2\r\nSet-Cookie: a", "2\n", "\u0662"])
def test_no_header_makes_another(value: str) -> None:
    with pytest.raises(ValueError, match="expected the value of a header"):
        render_plain(Response(body=b"1", headers={"Retry-After": value}), "r-1", RAW, 0)
