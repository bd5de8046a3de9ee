"""Failed attempts and overload, as a caller sees them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from prometheus_client import generate_latest

from swarmsec.errors import Denied
from swarmsec.http import Request, Response, RoleKind, Route
from swarmsec.server.settings import ServerSettings
from tests.integration.server_world import OPERATION, WHO, Answer, World, operator, run, serving, until


async def redeem(request: Request) -> Response:
    if request.body != b"right":
        raise Denied("the token does not count")
    return Response(body=b"{}")


REDEEM = Route(
    name="redeem",
    method="POST",
    path="/redeem",
    handler=redeem,
    operation=OPERATION,
    body_limit=100,
    attempt_keys=lambda request: (request.body.decode(),),
)
THREE = ServerSettings(attempt_burst=3, attempts_per_minute=1.0)


async def statuses(world: World, *bodies: bytes) -> list[int]:
    return [(await world.ask("POST /redeem", body=body)).status for body in bodies]


def test_failed_attempts_of_an_address_are_limited_and_every_one_is_logged() -> None:
    async def main() -> None:
        async with serving(REDEEM, WHO, settings=THREE) as world:
            assert await statuses(world, b"a", b"b", b"c") == [403, 403, 403]
            answer = await world.ask("POST /redeem", body=b"right")
            assert (answer.status, answer.error_code) == (429, "too_many_attempts")
            assert 1 <= int(answer.headers["retry-after"]) <= 60
            assert [entry.reason for entry in world.log.entries] == ["too many failed attempts"]
            # Other routes and identified callers are not limited by it.
            assert (await world.ask("GET /who")).status == 200
            assert (await world.ask("POST /redeem", operator(world), body=b"right")).status == 200

    run(main)


def test_failed_attempts_count_against_the_keys_of_the_route_too() -> None:
    async def main() -> None:
        async with serving(REDEEM, settings=THREE) as world:
            callers = [operator(world, name) for name in ("a", "b", "c", "d")]
            answers = [await world.ask("POST /redeem", caller, body=b"guess") for caller in callers]
            assert [answer.status for answer in answers] == [403, 403, 403, 429]

    run(main)


def test_success_is_never_limited() -> None:
    async def main() -> None:
        async with serving(REDEEM, settings=THREE) as world:
            assert await statuses(world, *8 * [b"right"]) == 8 * [200]

    run(main)


def test_leaving_before_the_answer_is_an_attempt_too() -> None:
    async def main() -> None:
        tried = []

        async def redeem_slowly(request: Request) -> Response:
            tried.append(request.body)
            await until(lambda: request.body == b"stay" or len(world.server.connections) == 0)
            raise Denied("the token does not count")

        route = replace(REDEEM, handler=redeem_slowly)
        async with serving(route, settings=THREE) as world:
            for number in range(3):
                client = await world.connect()
                await client.send(b"POST /redeem HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n%d" % number)
                await until(lambda: len(tried) > number)  # noqa: B023  # awaited before the number changes
                client.writer.transport.abort()
                await until(lambda: len(world.server.connections) == 0)
            await until(lambda: 'route="redeem",status="403"} 3.0' in shown(world))
            assert await statuses(world, b"stay") == [429]

    run(main)


def shown(world: World) -> str:
    return generate_latest(world.metrics.registry).decode()


def test_denied_calls_are_limited_as_well() -> None:
    async def main() -> None:
        async with serving(settings=THREE) as world:
            world.access.denied.add(("who", RoleKind.ANONYMOUS))
            answers = [(await world.ask("GET /who")).status for _ in range(4)]
            assert answers == [403, 403, 403, 429]

    run(main)


def test_flood_of_refusals_is_counted_in_full() -> None:
    async def main() -> None:
        settings = ServerSettings(refusals_per_minute=2, attempt_burst=100)
        async with serving(settings=settings) as world:
            world.access.denied.add(("who", RoleKind.ANONYMOUS))
            for _ in range(7):
                assert (await world.ask("GET /who")).status == 403
            assert [entry.count for entry in world.log.entries] == [1, 1]
            await world.server.stop(0)
            assert [entry.count for entry in world.log.entries] == [1, 1, 5]

    run(main)


def test_overload_says_when_to_come_back() -> None:
    async def main() -> None:
        release = asyncio.Event()

        async def wait(request: Request) -> Response:
            await release.wait()
            return Response(body=b"{}")

        route = Route(name="wait", method="GET", path="/wait", handler=wait, operation=OPERATION)
        settings = ServerSettings(max_running=1, max_waiting=1, max_wait=30.0)
        async with serving(route, settings=settings) as world:
            first = asyncio.create_task(world.ask("GET /wait"))
            await until(lambda: len(world.server.connections) == 1)
            second = asyncio.create_task(world.ask("GET /wait"))
            await until(lambda: len(world.server.connections) == 2)
            refused: list[Answer] = []
            while not refused:
                # The second may still be shaking hands; whichever comes third is refused.
                third = asyncio.create_task(world.ask("GET /wait"))
                done, _ = await asyncio.wait({first, second, third}, return_when=asyncio.FIRST_COMPLETED)
                refused = [task.result() for task in done]
            assert (refused[0].status, refused[0].error_code) == (503, "unavailable")
            assert 1 <= int(refused[0].headers["retry-after"]) <= 3
            # Liveness is told all the same.
            assert (await world.ask("GET /healthz")).status == 200
            release.set()
            answers = await asyncio.gather(first, second, third)
            assert sorted(answer.status for answer in answers) == [200, 200, 503]

    run(main)
