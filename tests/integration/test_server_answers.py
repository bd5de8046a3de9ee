"""What callers and the log get to see: answers, errors, health, metrics, the OpenAPI document, stopping."""

from __future__ import annotations

import asyncio
import io
import json
import uuid
from collections.abc import Iterator
from datetime import timedelta
from email.utils import parsedate_to_datetime

import pytest
from openapi_spec_validator import validate

from swarmsec.errors import Changed, NotFound, Unavailable
from swarmsec.http import Request, Response, RoleKind, Route
from swarmsec.server.connections import State
from swarmsec.server.logs import write_logs_to
from swarmsec.server.ports import Check
from tests.integration.server_world import (
    ECHO,
    OPERATION,
    SECONDS,
    WHO,
    operator,
    run,
    serving,
    until,
)

SECRET = "correct horse battery staple"  # what must not appear where it does not belong


@pytest.fixture
def log_lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    lines = write_logs_to(stream)
    yield stream
    lines.close()


def failing(error: Exception) -> Route:
    async def fail(request: Request) -> Response:
        raise error

    return Route(name="fail", method="GET", path="/fail", handler=fail, operation=OPERATION)


@pytest.mark.parametrize(
    ("error", "status", "code", "message"),
    [
        (NotFound("no such thing", hint="look elsewhere"), 404, "not_found", "no such thing"),
        (Changed("it changed"), 412, "changed", "it changed"),
        (Unavailable("locked"), 503, "unavailable", "locked"),
        (KeyError(SECRET), 500, "defect", "internal error"),
        (TimeoutError(SECRET), 500, "defect", "internal error"),
        (ConnectionResetError(SECRET), 500, "defect", "internal error"),
    ],
)
def test_every_error_has_the_one_shape(error: Exception, status: int, code: str, message: str) -> None:
    async def main() -> None:
        async with serving(failing(error)) as world:
            answer = await world.ask("GET /fail")
            assert (answer.status, answer.error_code) == (status, code)
            assert answer.json()["error"]["message"] == message
            assert SECRET.encode() not in answer.body

    run(main)


def test_defect_is_logged_by_frames_and_not_by_its_text(log_lines: io.StringIO) -> None:
    async def main() -> None:
        async with serving(failing(KeyError(SECRET))) as world:
            answer = await world.ask("GET /fail")
            lines = [json.loads(line) for line in log_lines.getvalue().splitlines()]
            [defect] = [line for line in lines if line["event"] == "defect"]
            assert defect["error"] == "KeyError"
            assert any(frame.endswith(" fail") for frame in defect["frames"])
            assert defect["request_id"] == answer.headers["x-request-id"]
            assert SECRET not in log_lines.getvalue()

    run(main)


def test_log_lines_carry_no_header_body_or_query(log_lines: io.StringIO) -> None:
    async def main() -> None:
        async with serving() as world:
            client = await world.connect(operator(world, "olga\nolga\x1b[31m"))
            head = f"POST /echo?q=hunter-two HTTP/1.1\r\nHost: x\r\nAuthorization: {SECRET}\r\n"
            head += f"Content-Length: {len(SECRET)}\r\n\r\n"
            await client.send(head.encode() + SECRET.encode())
            assert (await client.answer()).json()["body"] == SECRET
            await client.send(f"{SECRET}\r\n\r\n".encode())
            assert (await client.answer()).error_code == "malformed"
            await client.close()

    run(main)
    text = log_lines.getvalue()
    assert SECRET not in text
    assert "hunter-two" not in text
    assert "\x1b" not in text
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["status"] for line in lines] == [200, 400]
    assert set(lines[0]) == {
        "time",
        "level",
        "event",
        "request_id",
        "route",
        "method",
        "status",
        "duration_ms",
        "role",
        "name",
        "address",
    }


def test_request_id_is_ours() -> None:
    async def main() -> None:
        async with serving() as world:
            client = await world.connect()
            await client.send(b"GET /who HTTP/1.1\r\nHost: x\r\nX-Request-Id: 123\r\n\r\n")
            first = uuid.UUID((await client.answer()).headers["x-request-id"])
            second = uuid.UUID((await client.ask("GET /who")).headers["x-request-id"])
            assert first.version == second.version == 7
            assert first != second
            await client.close()

    run(main)


def test_head_has_the_headers_and_no_body() -> None:
    async def main() -> None:
        async with serving() as world:
            client = await world.connect()
            answer = await client.ask("HEAD /healthz")
            assert (answer.status, answer.body) == (200, b"")
            assert int(answer.headers["content-length"]) > 0
            assert (await client.ask("GET /healthz")).json() == {"status": "ok"}
            await client.close()

    run(main)


def test_an_answer_worded_here_has_the_headers_of_one_that_aiohttp_words() -> None:
    async def main() -> None:
        async with serving() as world:
            client = await world.connect()
            plain = await client.ask("GET /healthz")
            worded = await client.ask("HEAD /healthz")
            changing = {"date", "x-request-id"}
            assert plain.headers.keys() == worded.headers.keys()
            assert {name: plain.headers[name] for name in plain.headers.keys() - changing} == {
                name: worded.headers[name] for name in worded.headers.keys() - changing
            }
            sent = [parsedate_to_datetime(answer.headers["date"]) for answer in (plain, worded)]
            assert abs(sent[1] - sent[0]) < timedelta(minutes=1)
            await client.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = await client.answer()
            assert (answer.headers["connection"], answer.body) == ("close", plain.body)
            assert await client.until_closed() == b""

    run(main)


@pytest.mark.parametrize("size", [32 * 1024, 32 * 1024 + 1, 64 * 1024, 64 * 1024 + 1, 1_000_000])
def test_large_answers_arrive_whole(size: int) -> None:
    async def large(request: Request) -> Response:
        return Response(body=bytes(size), content_type="application/octet-stream")

    async def main() -> None:
        route = Route(name="large", method="GET", path="/large", handler=large, operation=OPERATION)
        async with serving(route) as world:
            client = await world.connect()
            head = await client.ask("HEAD /large")
            assert (head.body, head.headers["content-length"]) == (b"", str(size))
            assert (await client.ask("GET /large")).body == bytes(size)
            assert (await client.ask("GET /healthz")).status == 200
            await client.close()

    run(main)


def test_wrong_method_lists_the_right_ones() -> None:
    async def main() -> None:
        async with serving() as world:
            answer = await world.ask("POST /who")
            assert (answer.status, answer.error_code) == (405, "method_not_allowed")
            assert answer.headers["allow"] == "GET, HEAD"

    run(main)


def test_path_values_are_decoded_once() -> None:
    async def main() -> None:
        route = Route(name="thing", method="GET", path="/things/{name}", handler=ECHO.handler, operation=OPERATION)
        async with serving(route) as world:
            answer = await world.ask("GET /things/team%2Fdb%252F")
            assert answer.json()["values"] == {"name": "team/db%2F"}

    run(main)


def test_readiness_tells_strangers_one_word() -> None:
    async def main() -> None:
        async with serving() as world:
            world.ready.answers = [Check(name="storage", ok=True), Check(name="seal", ok=False, detail="sealed")]
            answer = await world.ask("GET /readyz")
            assert (answer.status, answer.json()) == (503, {"status": "unavailable"})
            known = (await world.ask("GET /readyz", operator(world))).json()
            assert known["checks"][1] == {"name": "seal", "ok": False, "detail": "sealed"}
            world.ready.answers = []
            assert (await world.ask("GET /readyz")).status == 503

    run(main)


def test_metrics_are_those_of_this_server() -> None:
    async def main() -> None:
        async with serving() as world:
            world.metrics.sealed.set(0)
            world.access.denied.add(("who", RoleKind.ANONYMOUS))
            await world.ask("GET /who")
            await world.ask("GET /nothing")
            text = (await world.ask("GET /metrics")).body.decode()
            assert 'swarmsec_build_info{version="0.0.0"} 1.0' in text
            assert 'swarmsec_http_requests_total{route="who",status="403"} 1.0' in text
            assert 'swarmsec_http_requests_total{route="none",status="404"} 1.0' in text
            assert 'swarmsec_http_refusals_total{kind="denied",route="who"} 1.0' in text
            assert 'swarmsec_http_request_duration_seconds_count{route="who"} 1.0' in text
            assert "swarmsec_sealed 0.0" in text
            assert "swarmsec_tls_generation 1.0" in text

    run(main)


def test_openapi_document_is_valid_and_has_every_route() -> None:
    async def main() -> None:
        route = Route(name="file", method="GET", path="/tuf/{name:path}", handler=ECHO.handler, operation=OPERATION)
        async with serving(WHO, ECHO, route) as world:
            document = (await world.ask("GET /openapi.json")).json()
            validate(document)
            assert document["openapi"] == "3.1.0"
            assert sorted(document["paths"]) == [
                "/echo",
                "/healthz",
                "/metrics",
                "/openapi.json",
                "/readyz",
                "/tuf/{name}",
                "/who",
            ]
            reference = document["paths"]["/who"]["get"]["responses"]["default"]
            assert reference["content"]["application/json"]["schema"]["$ref"] == "#/components/schemas/Error"

    run(main)


def test_stopping_lets_a_request_at_work_finish() -> None:
    async def main() -> None:
        release = asyncio.Event()

        async def wait(request: Request) -> Response:
            await release.wait()
            return Response(body=b'"done"')

        route = Route(name="wait", method="GET", path="/wait", handler=wait, operation=OPERATION)
        async with serving(route) as world:
            idle, busy = await world.connect(), await world.connect()
            asking = asyncio.create_task(busy.ask("GET /wait"))
            await until(lambda: world.server.connections.count(State.BUSY) == 1)
            stopping = asyncio.create_task(world.server.stop(SECONDS))
            assert await idle.until_closed() == b""
            with pytest.raises(ConnectionError):
                await world.connect()
            release.set()
            answer = await asking
            assert (answer.body, answer.headers["connection"]) == (b'"done"', "close")
            assert await busy.until_closed() == b""
            await stopping
            await idle.close()
            await busy.close()

    run(main)


def test_stopping_cuts_off_what_outlasts_the_grace() -> None:
    cut_off = []

    async def hang(request: Request) -> Response:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cut_off.append(request.path)
            raise
        return Response()

    async def main() -> None:
        route = Route(name="hang", method="GET", path="/hang", handler=hang, operation=OPERATION)
        async with serving(route) as world:
            client = await world.connect()
            await client.send(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
            await until(lambda: world.server.connections.count(State.BUSY) == 1)
            await world.server.stop(0.1)
            assert await client.until_closed() == b""
            assert len(world.server.connections) == 0
            await client.close()

    run(main)
    assert cut_off == ["/hang"]


def test_peer_that_leaves_does_not_disturb(log_lines: io.StringIO) -> None:
    async def main() -> None:
        release = asyncio.Event()

        async def wait(request: Request) -> Response:
            await release.wait()
            return Response(body=b"{}")

        route = Route(name="wait", method="GET", path="/wait", handler=wait, operation=OPERATION)
        async with serving(route, WHO) as world:
            client = await world.connect()
            await client.send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
            await until(lambda: world.server.connections.count(State.BUSY) == 1)
            client.writer.transport.abort()
            await until(lambda: len(world.server.connections) == 0)
            release.set()
            assert (await world.ask("GET /who")).status == 200

    run(main)
    assert "defect" not in log_lines.getvalue()
