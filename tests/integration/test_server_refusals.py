"""Whatever status a refusal of the server has, it says why and what to do next."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import pytest

import swarmsec.server
from swarmsec.errors import Kind, SwarmsecError
from swarmsec.http import Request, Response, RoleKind, Route
from swarmsec.server.settings import ServerSettings
from tests.integration.server_world import ECHO, OPERATION, WHO, Answer, World, operator, run, serving


class Bare(SwarmsecError):
    """An error of any kind that says nothing of what to do next."""

    def __init__(self, kind: Kind) -> None:
        super().__init__("expected something else")
        self.kind = kind


async def fail(request: Request) -> Response:
    raise Bare(Kind[request.path_values["kind"]])


IMPATIENT = ServerSettings(body_timeout=0.4)
FAIL = Route(name="fail", method="GET", path="/fail/{kind}", handler=fail, operation=OPERATION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A request that HTTP itself has a status for."""

    text: str
    status: HTTPStatus
    known: bool = True


SENT = (
    Sent(text="GET /../who HTTP/1.1\r\nHost: x\r\n\r\n", status=HTTPStatus.BAD_REQUEST),
    Sent(text="GET /who HTTP/9.9\r\nHost: x\r\n\r\n", status=HTTPStatus.BAD_REQUEST),
    Sent(
        text="POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: x\r\n\r\nz\r\n", status=HTTPStatus.BAD_REQUEST
    ),
    Sent(text="GET /who HTTP/1.1\r\nHost: x\r\n\r\n", status=HTTPStatus.UNAUTHORIZED, known=False),
    Sent(text="GET /fail/DENIED HTTP/1.1\r\nHost: x\r\n\r\n", status=HTTPStatus.FORBIDDEN),
    Sent(text="GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", status=HTTPStatus.NOT_FOUND),
    Sent(text="DELETE /who HTTP/1.1\r\nHost: x\r\n\r\n", status=HTTPStatus.METHOD_NOT_ALLOWED),
    Sent(text="POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", status=HTTPStatus.REQUEST_TIMEOUT),
    Sent(text="GET /fail/EXISTS HTTP/1.1\r\nHost: x\r\n\r\n", status=HTTPStatus.CONFLICT),
    Sent(text="GET /fail/CHANGED HTTP/1.1\r\nHost: x\r\n\r\n", status=HTTPStatus.PRECONDITION_FAILED),
    Sent(
        text="POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n",
        status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ),
    Sent(text="GET /who HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    Sent(
        text="POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Encoding: br\r\n\r\n",
        status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    ),
    Sent(
        text="POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: a miracle\r\n\r\n",
        status=HTTPStatus.EXPECTATION_FAILED,
    ),
    Sent(text="GET /fail/LIMITED HTTP/1.1\r\nHost: x\r\n\r\n", status=HTTPStatus.TOO_MANY_REQUESTS),
    Sent(text=f"GET /{'a' * 9000} HTTP/1.1\r\nHost: x\r\n\r\n", status=HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE),
    Sent(text="GET /fail/DEFECT HTTP/1.1\r\nHost: x\r\n\r\n", status=HTTPStatus.INTERNAL_SERVER_ERROR),
    Sent(text="GET /fail/UNAVAILABLE HTTP/1.1\r\nHost: x\r\n\r\n", status=HTTPStatus.SERVICE_UNAVAILABLE),
)


async def answer_to(world: World, sent: Sent) -> Answer:
    identity = operator(world) if sent.known else world.authority.issue("stranger")
    client = await world.connect(identity)
    try:
        await client.send(sent.text.encode())
        return await client.answer()
    finally:
        await client.close()


@pytest.mark.parametrize("sent", SENT, ids=lambda sent: f"{sent.status.value}-{sent.text[:20].split(' ')[1]}")
def test_a_refusal_says_why_and_what_to_do_next(sent: Sent) -> None:
    async def main() -> None:
        async with serving(WHO, ECHO, FAIL, settings=IMPATIENT) as world:
            answer = await answer_to(world, sent)
            assert answer.status == sent.status
            assert answer.error_code  # and with it message and hint

    run(main)


@pytest.mark.parametrize("kind", list(Kind))
def test_an_error_that_names_no_next_step_gets_that_of_its_kind(kind: Kind) -> None:
    async def main() -> None:
        async with serving(FAIL) as world:
            answer = await world.ask(f"GET /fail/{kind.name}", operator(world))
            assert (answer.status, answer.error_code) == (kind.http_status, kind.word)

    run(main)


@pytest.mark.parametrize("known", [True, False])
def test_whose_role_may_not_is_told_how_to_get_one_that_may(known: bool) -> None:
    async def main() -> None:
        async with serving(WHO) as world:
            world.access.denied |= {("who", RoleKind.OPERATOR), ("who", RoleKind.ANONYMOUS)}
            answer = await world.ask("GET /who", operator(world) if known else None)
            assert (answer.status, answer.error_code) == (403, "denied")
            assert "of a role that may" in answer.json()["error"]["hint"]

    run(main)


def test_no_other_status_can_be_given() -> None:
    """Those that the source names, and those of the table of errors, are those that are tried here."""
    sources = [path.read_text() for path in Path(swarmsec.server.__file__).parent.glob("*.py")]
    named = {HTTPStatus[name] for source in sources for name in re.findall(r"HTTPStatus\.([A-Z_]+)", source)}
    assert len(named) > 6
    assert {sent.status for sent in SENT} == named | {HTTPStatus(kind.http_status) for kind in Kind}
