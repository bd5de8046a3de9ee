"""The decisions of a driver without a home: asked of ``swarmsec serve``, over mutual TLS connections that stay open.

What waits at the same time is asked for in one request (``sharedquestions``), and each gets its own answer.

Nothing is kept here but the driver's identity. When its files change, because it was renewed or follows a rotation of
the root, new connections are made with the new ones and the old ones end with what is under way on them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from swarmsec.errors import SwarmsecError, Unavailable, describe
from swarmsec.services.secrets.deliver_secret import DeliveryDenied
from swarmsec.services.secrets.delivery_records import (
    MAX_TOGETHER,
    MAX_TOGETHER_BYTES,
    CheckedTask,
    HandedOver,
    RefusalKind,
    SecretRequest,
)
from swarmsec.wiring.nodes.authorityclient import parse_server, printable, tls_context
from swarmsec.wiring.nodes.filekinds import IDENTITY_FILES
from swarmsec.wiring.nodes.nodefiles import NodeFiles, alone, open_node_files
from swarmsec.wiring.secrets.deliveryanswers import MAX_ANSWER, Answer, error_message, parse_answers
from swarmsec.wiring.secrets.sharedquestions import Bounds, SharedQuestions

PATH: Final = "/api/v1/secrets/deliver"
MAX_REQUESTS: Final = 16
"""Requests that are under way at one time."""
REFUSE_SECONDS: Final = 2.0
ASK_SECONDS: Final = 3.0
_EACH_BYTES: Final = 32
"""What a delivery takes beside itself in a request."""
_LOOK_SECONDS: Final = 1.0


class RemoteDecisions:
    """Asks a server.

    Args:
        server: ``https://HOST:PORT``.
        directory: of the driver's identity.
        report: called with each line for the operator.
    """

    def __init__(self, server: str, directory: Path, report: Callable[[str], None]) -> None:
        self._base = parse_server(server)
        self._directory = directory
        self._report = report
        self._session: aiohttp.ClientSession | None = None
        self._state: tuple[int, ...] = ()
        self._ending: set[asyncio.Task[None]] = set()
        self._questions: SharedQuestions[_Asked, HandedOver] = SharedQuestions(
            self._ask,
            Bounds(questions=MAX_REQUESTS, together=MAX_TOGETHER, weight=MAX_TOGETHER_BYTES - _EACH_BYTES),
            lambda asked: asked.size,
        )

    async def open(self) -> None:
        """Load the identity and prepare to connect.

        Raises:
            NotFound, UsageProblem, Unavailable: its files cannot be used.
        """
        self._state = self._look()
        self._use(await asyncio.to_thread(self._load))

    async def keep_fresh(self) -> None:
        """Take up another identity when its files change, for as long as this runs; one that does not fit is said."""
        told = ""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await self._take_up()
                told = ""
            except (SwarmsecError, OSError) as error:
                # Files may be half way through a renewal; the former identity goes on, and the next look tries again.
                if (words := describe(error).text) != told:
                    told = words
                    self._report(f"the identity in {self._directory} cannot be taken up: {words}")

    async def _take_up(self) -> None:
        state = self._look()
        if state == self._state:
            return
        former = self._session
        self._use(await asyncio.to_thread(self._load))
        self._state = state
        if former is not None:
            ending = asyncio.create_task(_end(former))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """End the connections."""
        for ending in self._ending:
            ending.cancel()
        await asyncio.gather(*self._ending, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def warm_up(self) -> None:
        """Connect once, so that the first task does not wait for a handshake; a server that is away is said."""
        try:
            async with asyncio.timeout(REFUSE_SECONDS):
                async with self.session.get(f"{self._base}/api/v1/whoami") as answer:
                    body = await _bounded(answer, MAX_ANSWER)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            self._report(f"{self._base} could not be reached: {_words(error)}; tasks get no secrets until it can")
            return
        if answer.status != 200:
            self._report(
                f"{self._base} does not take this driver: {error_message(body) or f'HTTP status {answer.status}'}"
            )

    async def deliver(self, request: SecretRequest, task: CheckedTask, until: float) -> HandedOver:
        """Ask for a value, which a server does not give any more after ``until`` (by ``time.monotonic``).

        Raises:
            DeliveryDenied: the server refuses, and has that on record.
            Unavailable: no answer that could be used.
        """
        return await self._questions.ask(_Asked(data=_encoded({"request": request, "task": task}), until=until))

    async def refuse(
        self, request: SecretRequest, reason: str, kind: RefusalKind, *, takes_back: int | None = None
    ) -> None:
        """Have a refusal put on record; it is given up after two seconds.

        Raises:
            Unavailable: the server did not take it.
        """
        refused = {"reason": reason[:1000], "kind": kind.value, "takes_back": takes_back}
        try:
            async with asyncio.timeout(REFUSE_SECONDS):
                await self._questions.ask(_Asked(data=_encoded({"request": request, "refused": refused})))
        except TimeoutError:
            raise Unavailable(f"{self._base} did not answer in time") from None
        except DeliveryDenied:
            return
        raise Unavailable(f"expected {self._base} to have it on record, got something else")

    async def _ask(self, asked: Sequence[_Asked]) -> Sequence[Answer]:
        now = time.monotonic()
        data = b'{"deliveries":[%b]}' % b",".join(one.body(now) for one in asked)
        try:
            # NOTE: whoever waits has been refused long before; this ends what an unreachable server never ends.
            async with asyncio.timeout(ASK_SECONDS):
                status, body = await self._post(data, len(asked))
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"{self._base} could not be asked: {_words(error)}") from None
        if status != 200:
            message = error_message(body) or f"HTTP status {status}"
            if status == HTTPStatus.BAD_REQUEST:
                message += "; the driver and the server must be of one version"
            raise Unavailable(f"{self._base} did not decide: {message}")
        return parse_answers(body, len(asked))

    async def _post(self, data: bytes, count: int) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"}
        async with self.session.post(f"{self._base}{PATH}", data=data, headers=headers) as answer:
            return answer.status, await _bounded(answer, MAX_ANSWER * count)

    @property
    def session(self) -> aiohttp.ClientSession:
        """The present connections."""
        if self._session is None:
            raise Unavailable("the driver's identity is not loaded")
        return self._session

    def _look(self) -> tuple[int, ...]:
        names = (IDENTITY_FILES.certificate, IDENTITY_FILES.key, IDENTITY_FILES.roots)
        return tuple((self._directory / name).stat().st_mtime_ns for name in names)

    def _load(self) -> NodeFiles:
        # Not while a renewal moves its files.
        with alone(self._directory):
            return open_node_files(self._directory, IDENTITY_FILES)

    def _use(self, files: NodeFiles) -> None:
        connector = aiohttp.TCPConnector(
            ssl=tls_context(files.roots, files.pair), limit=2 * MAX_REQUESTS, keepalive_timeout=300.0
        )
        self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A delivery on its way: JSON of an object, and until when it is wanted, if that ends."""

    data: bytes
    until: float | None = None

    def body(self, now: float) -> bytes:
        if self.until is None:
            return self.data
        return b'%b,"within_ms":%d}' % (self.data[:-1], max(0, int((self.until - now) * 1000)))

    @property
    def size(self) -> int:
        return len(self.data) + _EACH_BYTES


def _encoded(members: Mapping[str, object]) -> bytes:
    return msgspec.json.encode(members)


async def _bounded(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    body = bytearray()
    async for part in answer.content.iter_any():
        body += part
        if len(body) > limit:
            raise Unavailable("expected a shorter answer")
    return bytes(body)


async def _end(session: aiohttp.ClientSession) -> None:
    """End connections when what is under way on them is over: each request has half a second."""
    try:
        await asyncio.sleep(REFUSE_SECONDS)
    finally:
        await session.close()


def _words(error: BaseException) -> str:
    return printable(str(error))[:200] or type(error).__name__
