"""Clients that stall, flood or do not speak HTTP: each is bounded, and the others are served meanwhile."""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
from collections.abc import Iterator

import pytest

from swarmsec.http import Request, Response, Route
from swarmsec.server.connections import State
from swarmsec.server.settings import ServerSettings
from tests.integration.server_world import (
    OPERATION,
    SECONDS,
    WHO,
    Client,
    client_context,
    open_files_of_this_process,
    operator,
    run,
    serving,
    until,
)

SWEEPS = 0.05
# Each is hasty in one thing: what is done right must have its time on a busy machine as well.
HASTY_HANDSHAKE = ServerSettings(handshake_timeout=0.4, sweep_interval=SWEEPS)
HASTY_HEADERS = ServerSettings(header_timeout=2.0, sweep_interval=SWEEPS)
HASTY_BODY = ServerSettings(body_timeout=0.4, sweep_interval=SWEEPS)
HASTY_WRITING = ServerSettings(write_timeout=0.4, sweep_interval=SWEEPS)
HASTY_IDLE = ServerSettings(idle_timeout=2.0, sweep_interval=SWEEPS)


@pytest.fixture
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_half_sent_request_is_ended() -> None:
    async def main() -> None:
        async with serving(settings=HASTY_HEADERS) as world:
            client = await world.connect()
            await client.send(b"GET /who HTTP/1.1\r\nHost: x\r\n")
            assert await client.until_closed() == b""
            await client.close()
            assert (await world.ask("GET /who")).status == 200

    run(main)


def test_trickling_headers_are_ended() -> None:
    async def main() -> None:
        async with serving(settings=HASTY_HEADERS) as world:
            client = await world.connect()
            await client.send(b"GET /who HTTP/1.1\r\n")
            closing = asyncio.create_task(client.until_closed())
            while not closing.done():
                client.writer.write(b"X-A: b\r\n")
                await asyncio.sleep(0.05)
            assert await closing == b""
            await client.close()

    run(main)


def test_silent_tcp_connection_is_ended() -> None:
    async def main() -> None:
        async with serving(settings=HASTY_HANDSHAKE) as world:
            reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
            async with asyncio.timeout(SECONDS):
                assert await reader.read() == b""
            writer.close()
            await until(lambda: len(world.server.connections) == 0)

    run(main)


def test_idle_connection_is_ended() -> None:
    async def main() -> None:
        async with serving(settings=HASTY_IDLE) as world:
            client = await world.connect()
            assert (await client.ask("GET /who")).status == 200
            assert await client.until_closed() == b""
            await client.close()

    run(main)


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 100\r\n\r\n0123456789", b"Transfer-Encoding: chunked\r\n\r\n5\r\n01"]
)
def test_slow_body_is_answered_and_ended(framing: bytes) -> None:
    async def main() -> None:
        async with serving(settings=HASTY_BODY) as world:
            client = await world.connect()
            await client.send(b"POST /echo HTTP/1.1\r\nHost: x\r\n" + framing)
            answer = await client.answer()
            assert (answer.status, answer.error_code) == (408, "timeout")
            assert answer.headers["connection"] == "close"
            assert await client.until_closed() == b""
            await client.close()

    run(main)


def test_large_declared_body_is_refused_before_it_is_read() -> None:
    async def main() -> None:
        async with serving() as world:
            client = await world.connect()
            await client.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
            answer = await client.answer()
            assert (answer.status, answer.error_code) == (413, "too_large")
            await client.close()

    run(main)


def test_large_chunked_body_is_counted_and_refused() -> None:
    async def main() -> None:
        async with serving() as world:
            client = await world.connect()
            await client.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            await client.send(b"200\r\n" + 512 * b"x" + b"\r\n" + b"200\r\n" + 512 * b"x" + b"\r\n")
            answer = await client.answer()
            assert (answer.status, answer.error_code) == (413, "too_large")
            await client.close()

    run(main)


def test_body_of_exactly_the_limit_is_taken() -> None:
    async def main() -> None:
        async with serving() as world:
            assert (await world.ask("POST /echo", body=1000 * b"x")).json()["body"] == 1000 * "x"
            assert (await world.ask("POST /echo", body=1001 * b"x")).status == 413

    run(main)


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        (b"GET /who HTTP/1.1\r\nHost: x\r\nX: " + 9000 * b"a" + b"\r\n\r\n", 431, "too_large"),
        (b"GET /" + 9000 * b"a" + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431, "too_large"),
        (b"GET /who HTTP/1.1\r\nHost: x\r\n" + 200 * b"A: b\r\n" + b"\r\n", 400, "malformed"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "malformed"),
        (b"GET /who HTTP/1.1\r\n\r\n", 400, "malformed"),
        (b"GET\r\n\r\n", 400, "malformed"),
        (b"GET /who HTTP/9.9\r\nHost: x\r\n\r\n", 400, "malformed"),
        (b"GET /who HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400, "malformed"),
        (b"GET /who HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n", 400, "malformed"),
        (b"GET /who HTTP/1.1\r\nHost: x\r\n folded: yes\r\n\r\n", 400, "malformed"),
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400, "malformed"),
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400, "malformed"),
        (
            b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            "malformed",
        ),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "malformed"),
    ],
)
def test_what_is_no_request_is_answered_in_the_one_shape(request_bytes: bytes, status: int, code: str) -> None:
    async def main() -> None:
        async with serving() as world:
            client = await world.connect()
            await client.send(request_bytes)
            answer = await client.answer()
            assert (answer.status, answer.error_code) == (status, code)
            assert answer.headers["connection"] == "close"
            assert await client.until_closed() == b""
            await client.close()

    run(main)


@pytest.mark.parametrize(
    ("request_line", "header", "status"),
    [
        ("GET /../etc/passwd", "", 400),
        ("GET /who?a=1&a=2", "", 400),
        ("GET /%zz", "", 400),
        ("GET /who%00", "", 400),
        ("GET https://other/who", "", 400),
        ("OPTIONS *", "", 400),
        ("GET /nothing", "", 404),
        ("DELETE /who", "", 405),
        ("GET /who", "Content-Length: 1\r\n", 413),
        ("POST /echo", "Content-Length: 1\r\nContent-Encoding: gzip\r\n", 415),
        ("POST /echo", "Content-Length: 1\r\nExpect: a miracle\r\n", 417),
    ],
)
def test_requests_that_cannot_be_meant(request_line: str, header: str, status: int) -> None:
    async def main() -> None:
        async with serving() as world:
            client = await world.connect()
            await client.send(f"{request_line} HTTP/1.1\r\nHost: x\r\n{header}\r\n".encode())
            answer = await client.answer()
            assert answer.status == status
            assert answer.error_code
            await client.close()

    run(main)


def test_expect_continue_is_invited() -> None:
    async def main() -> None:
        async with serving() as world:
            client = await world.connect()
            await client.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            assert (await client.answer()).status == 100
            await client.send(b"ab")
            assert (await client.answer()).json()["body"] == "ab"
            await client.close()

    run(main)


def test_pipelined_requests_are_answered_in_order() -> None:
    async def main() -> None:
        async with serving() as world:
            client = await world.connect()
            await client.send(b"".join(b"GET /who?n=%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(5)))
            assert [(await client.answer()).json()["query"]["n"] for _ in range(5)] == list("01234")
            await client.close()

    run(main)


def ask_and_never_read(port: int) -> ssl.SSLSocket:
    tls = client_context().wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=SECONDS))
    tls.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
    return tls


def test_slow_reader_is_ended() -> None:
    async def large(request: Request) -> Response:
        return Response(body=bytes(32 * 1024 * 1024), content_type="application/octet-stream")

    async def main() -> None:
        route = Route(name="large", method="GET", path="/large", handler=large, operation=OPERATION)
        async with serving(route, settings=HASTY_WRITING) as world:
            tls = await asyncio.to_thread(ask_and_never_read, world.port)
            await until(lambda: len(world.server.connections) == 0)
            tls.close()

    run(main)


def test_a_thousand_idle_connections_do_not_keep_a_request_waiting(many_files: None) -> None:
    async def main() -> None:
        async with serving() as world:
            context = client_context()

            async def idle() -> Client:
                reader, writer = await asyncio.open_connection("127.0.0.1", world.port, ssl=context)
                return Client(reader=reader, writer=writer)

            clients: list[Client] = []
            while len(clients) < 1000:
                clients += await asyncio.gather(*(idle() for _ in range(50)))
            await until(lambda: world.server.connections.count(State.IDLE) == 1000)
            assert (await world.ask("GET /who", operator(world))).status == 200
            assert (await clients[0].ask("GET /who")).status == 200
            for client in clients:
                client.writer.transport.abort()

    run(main)


def test_at_the_cap_the_longest_idle_stranger_makes_room() -> None:
    async def main() -> None:
        async with serving(settings=ServerSettings(max_connections=3)) as world:
            known = await world.connect(operator(world))
            first, second = await world.connect(), await world.connect()
            for client in (known, first, second):
                assert (await client.ask("GET /who")).status == 200
            newcomer = await world.connect()
            assert (await newcomer.ask("GET /who")).status == 200
            assert await first.until_closed() == b""
            for client in (known, second):
                assert (await client.ask("GET /who")).status == 200
            for client in (known, first, second, newcomer):
                await client.close()

    run(main)


def test_at_the_cap_requests_at_work_are_not_cut_off() -> None:
    release = asyncio.Event()

    async def wait(request: Request) -> Response:
        await release.wait()
        return Response()

    async def main() -> None:
        route = Route(name="wait", method="GET", path="/wait", handler=wait, operation=OPERATION)
        async with serving(route, settings=ServerSettings(max_connections=1)) as world:
            client = await world.connect()
            asking = asyncio.create_task(client.ask("GET /wait"))
            await until(lambda: world.server.connections.count(State.BUSY) == 1)
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await world.connect()
            release.set()
            assert (await asking).status == 200
            await client.close()

    run(main)


def test_broken_handshakes_leak_no_descriptor() -> None:
    async def main() -> None:
        async with serving(WHO) as world:
            await world.ask("GET /who")
            await until(lambda: len(world.server.connections) == 0)
            before = open_files_of_this_process()
            for _ in range(20):
                _, writer = await asyncio.open_connection("127.0.0.1", world.port)
                writer.write(b"GET / HTTP/1.1\r\n\r\n")
                await writer.drain()
                writer.close()
            await until(lambda: len(world.server.connections) == 0)
            await until(lambda: open_files_of_this_process() <= before)

    run(main)
