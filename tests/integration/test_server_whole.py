"""Requests that come whole are answered one after another without a task for each, all others as before them.

The first two tests hold what of aiohttp ``swarmsec.server.protocol`` depends on: its queue, what wakes it, and how much
of it may be filled.
"""

from __future__ import annotations

import asyncio
import gc
import json

import pytest

from swarmsec.http import Request, Response, Route
from swarmsec.server.connections import State
from swarmsec.server.protocol import HttpConnection
from swarmsec.server.settings import ServerSettings
from swarmsec.server.whole_requests import WholeRequest
from tests.integration.server_world import OPERATION, SECONDS, WHO, Client, run, serving, until

MANY = 200
"""More than aiohttp lets wait for their turn, and than it parses before one is taken."""
WHOLE = b"POST /task HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"


async def name_task(request: Request) -> Response:
    """Say what came, and in which task it is answered."""
    task = asyncio.current_task()
    assert task is not None
    return Response(body=json.dumps([request.body.decode(), task.get_name()]).encode())


TASK = Route(name="task", method="POST", path="/task", handler=name_task, operation=OPERATION, body_limit=100_000)


def numbered(number: int) -> bytes:
    body = str(number).encode()
    return b"POST /task HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


ASK_HELD = b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n"


class Held:
    """A route whose answer waits for ``release``; ``entered`` says that it was asked for."""

    def __init__(self) -> None:
        self.entered, self.release = asyncio.Event(), asyncio.Event()
        self.route = Route(name="hold", method="GET", path="/hold", handler=self._hold, operation=OPERATION)

    async def _hold(self, request: Request) -> Response:
        self.entered.set()
        await self.release.wait()
        return Response(body=b"1")


async def answers(client: Client, count: int) -> list[tuple[str, str]]:
    return [tuple((await client.answer()).json()) for _ in range(count)]


def test_requests_that_come_whole_share_the_task_of_their_connection() -> None:
    async def main() -> None:
        async with serving(TASK) as world:
            client, other = await world.connect(), await world.connect()
            given = []
            for number in range(MANY):
                await client.send(numbered(number))
                given += await answers(client, 1)
            await other.send(numbered(0))
            ((_, elsewhere),) = await answers(other, 1)
            assert [body for body, _ in given] == [str(number) for number in range(MANY)]
            assert len({task for _, task in given} - {elsewhere}) == 1
            await client.close()
            await other.close()

    run(main)


def test_requests_that_come_together_are_answered_in_their_order() -> None:
    async def main() -> None:
        async with serving(TASK) as world:
            client = await world.connect()
            await client.send(b"".join(numbered(number) for number in range(MANY)))
            given = await answers(client, MANY)
            assert [body for body, _ in given] == [str(number) for number in range(MANY)]
            await client.close()

    run(main)


@pytest.mark.parametrize(
    "pieces",
    [
        [b"POST /task HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n", b"abc"],
        [b"POST /task HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na", b"bc"],
        [b"POST /task HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"],
        [b"POST /task HTTP/1.1\r\nHost: x\r\nContent-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc"],
    ],
    ids=["body later", "half a body", "chunks", "a coding"],
)
def test_others_are_answered_between_those_that_come_whole(pieces: list[bytes]) -> None:
    async def main() -> None:
        async with serving(TASK) as world:
            client = await world.connect()
            await client.send(WHOLE)
            given = await answers(client, 1)
            for piece in pieces:
                await client.send(piece)
                # Mostly enough for the server to read one piece before the next; the answer is the same anyway.
                await asyncio.sleep(0.02)
            given += await answers(client, 1)
            await client.send(WHOLE)
            given += await answers(client, 1)
            assert [body for body, _ in given] == ["abc"] * 3
            await client.close()

    run(main)


def test_an_expectation_is_met_and_one_that_nobody_knows_is_refused() -> None:
    async def main() -> None:
        async with serving(TASK) as world:
            client = await world.connect()
            await client.send(WHOLE.replace(b"Host: x", b"Host: x\r\nExpect: 100-continue"))
            assert (await client.answer()).status == 100
            assert (await client.answer()).status == 200
            await client.send(WHOLE.replace(b"Host: x", b"Host: x\r\nExpect: more"))
            assert (await client.answer()).status == 417
            await client.close()

    run(main)


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        (b"POST /task HTTP/1.1\r\nHost: x\r\nContent-Length: 100001\r\n\r\n" + bytes(100_001), 413, "too_large"),
        (b"GET /who HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na", 413, "too_large"),
        (b"POST /task HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\na", 415, "unsupported"),
        (b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n", 404, "not_found"),
        (b"DELETE /who HTTP/1.1\r\nHost: x\r\n\r\n", 405, "method_not_allowed"),
    ],
)
def test_what_is_refused_is_refused_whole_as_well(request_bytes: bytes, status: int, code: str) -> None:
    async def main() -> None:
        async with serving(TASK, WHO) as world:
            client = await world.connect()
            await client.send(request_bytes)
            answer = await client.answer()
            assert (answer.status, answer.error_code) == (status, code)
            if answer.headers.get("connection") == "close":
                assert await client.until_closed() == b""
            else:
                await client.send(WHOLE)
                assert (await client.answer()).status == 200
            await client.close()

    run(main)


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1\r\nConnection: close"])
def test_who_asks_for_the_end_gets_it_after_the_answer(version: str) -> None:
    async def main() -> None:
        async with serving(WHO) as world:
            client = await world.connect()
            await client.send(f"GET /who {version}\r\nHost: x\r\n\r\n".encode())
            assert (await client.answer()).status == 200
            assert await client.until_closed() == b""
            await client.close()

    run(main)


def test_an_answer_that_cannot_be_worded_is_a_defect_and_ends_the_connection() -> None:
    async def split(request: Request) -> Response:
        return Response(body=b"1", headers={"Retry-After": "2\r\nSet-Cookie: a"})

    async def main() -> None:
        route = Route(name="split", method="GET", path="/split", handler=split, operation=OPERATION)
        async with serving(route, WHO) as world:
            client = await world.connect()
            await client.send(b"GET /split HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = await client.answer()
            assert (answer.status, answer.error_code) == (500, "defect")
            assert "set-cookie" not in answer.headers
            assert await client.until_closed() == b""
            await client.close()
            assert (await world.ask("GET /who")).status == 200

    run(main)


def test_who_leaves_while_asking_leaves_nothing_behind() -> None:
    async def main() -> None:
        held = Held()
        async with serving(held.route, WHO) as world:
            client = await world.connect()
            await client.send(ASK_HELD)
            await held.entered.wait()
            assert world.server.connections.count(State.BUSY) == 1
            client.writer.transport.abort()
            await until(lambda: len(world.server.connections) == 0)
            held.release.set()
            assert (await world.ask("GET /who")).status == 200
            await until(lambda: _named_tasks("_serve") == 0)

    def _named_tasks(name: str) -> int:
        return sum(name in repr(task.get_coro()) for task in asyncio.all_tasks())

    run(main)


def test_requests_behind_one_at_work_wait_and_keep_the_connection_busy() -> None:
    async def main() -> None:
        held = Held()
        settings = ServerSettings(header_timeout=1.0, idle_timeout=1.0, sweep_interval=0.05)
        async with serving(held.route, TASK, settings=settings) as world:
            client = await world.connect()
            await client.send(ASK_HELD)
            async with asyncio.timeout(SECONDS):
                await held.entered.wait()
            await client.send(WHOLE + WHOLE[:20])
            # Long enough to be ended in any other state.
            await asyncio.sleep(1.5)
            assert world.server.connections.count(State.BUSY) == 1
            held.release.set()
            assert (await client.answer()).status == 200
            assert (await client.answer()).status == 200
            # The third was begun and never ended.
            assert await client.until_closed() == b""
            await client.close()

    run(main)


def in_memory(kind: type[object]) -> list[object]:
    """Those of a kind that nothing has freed. An error that another test still holds may hold some."""
    return [each for each in gc.get_objects() if isinstance(each, kind)]


def are_gone(kind: type[object], others: list[object]) -> bool:
    """Whether none is there but others."""
    kept = {id(each) for each in others}
    return all(id(each) in kept for each in in_memory(kind))


def test_a_connection_that_waits_holds_nothing_of_what_it_asked_last() -> None:
    async def main() -> None:
        async with serving(TASK) as world:
            others = in_memory(WholeRequest)
            client = await world.connect()
            await client.send(WHOLE)
            assert (await client.answer()).status == 200
            await until(lambda: are_gone(WholeRequest, others))
            assert len(world.server.connections) == 1
            await client.close()

    run(main)


@pytest.mark.parametrize("is_polite", [True, False])
def test_a_connection_that_ended_is_gone_without_a_search_for_cycles(is_polite: bool) -> None:
    async def main() -> None:
        async with serving(TASK) as world:
            gc.collect()
            gc.disable()
            others = in_memory(HttpConnection)
            try:
                for _ in range(10):
                    client = await world.connect()
                    assert (await client.ask("POST /task", b"abc")).status == 200
                    if is_polite:
                        await client.close()
                    else:
                        client.writer.transport.abort()
                await until(lambda: are_gone(HttpConnection, others))
            finally:
                gc.enable()

    run(main)
