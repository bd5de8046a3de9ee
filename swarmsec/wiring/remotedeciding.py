"""The decisions of a driver without a home: asked of ``swarmsec serve``, over mutual TLS connections that stay open.

Nothing is kept here but the driver's identity. When its files change, because it was renewed or follows a rotation of
the root, new connections are made with the new ones and the old ones end with what is under way on them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import aiohttp

from swarmsec.errors import SwarmsecError, Unavailable, describe
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.deliver_secret import DeliveryDenied
from swarmsec.services.delivery_records import CheckedTask, RefusalKind, SecretRequest
from swarmsec.wiring.authorityclient import parse_server, printable, tls_context
from swarmsec.wiring.filekinds import IDENTITY_FILES
from swarmsec.wiring.nodefiles import NodeFiles, alone, open_node_files

PATH: Final = "/api/v1/secrets/deliver"
MAX_VALUE: Final = 511_999
_MAX_ANSWER: Final = 1 << 20
_MAX_CONNECTIONS: Final = 64
_REFUSE_SECONDS: Final = 2.0
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
            async with asyncio.timeout(_REFUSE_SECONDS):
                async with self.session.get(f"{self._base}/api/v1/whoami") as answer:
                    body = await _bounded(answer)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            self._report(f"{self._base} could not be reached: {_words(error)}; tasks get no secrets until it can")
            return
        if answer.status != 200:
            self._report(f"{self._base} does not take this driver: {_message(answer.status, body)}")

    async def deliver(self, request: SecretRequest, task: CheckedTask) -> SecretBytes:
        """Ask for a value.

        Raises:
            DeliveryDenied: the server refuses, and has that on record.
            Unavailable: no answer that could be used.
        """
        kind, body = await self._ask({"request": asdict(request), "task": asdict(task)})
        if kind == "application/octet-stream" and 1 <= len(body) <= MAX_VALUE:
            return SecretBytes(body)
        raise _refused(body) or Unavailable(f"expected a value from {self._base}, got something else")

    async def refuse(self, request: SecretRequest, reason: str, kind: RefusalKind) -> None:
        """Have a refusal put on record; it is given up after two seconds.

        Raises:
            Unavailable: the server did not take it.
        """
        members = {"request": asdict(request), "refused": {"reason": reason[:1000], "kind": kind.value}}
        try:
            async with asyncio.timeout(_REFUSE_SECONDS):
                _, body = await self._ask(members)
        except TimeoutError:
            raise Unavailable(f"{self._base} did not answer in time") from None
        if _refused(body) is None:
            raise Unavailable(f"expected {self._base} to have it on record, got something else")

    async def _ask(self, members: Mapping[str, object]) -> tuple[str, bytes]:
        data = json.dumps(members).encode()
        try:
            headers = {"Content-Type": "application/json"}
            async with self.session.post(f"{self._base}{PATH}", data=data, headers=headers) as answer:
                body = await _bounded(answer)
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"{self._base} could not be asked: {_words(error)}") from None
        if answer.status != 200:
            raise Unavailable(f"{self._base} did not decide: {_message(answer.status, body)}")
        return answer.content_type, body

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
            ssl=tls_context(files.roots, files.pair), limit=_MAX_CONNECTIONS, keepalive_timeout=300.0
        )
        self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for part in answer.content.iter_any():
        body += part
        if len(body) > _MAX_ANSWER:
            raise Unavailable("expected a shorter answer")
    return bytes(body)


async def _end(session: aiohttp.ClientSession) -> None:
    """End connections when what is under way on them is over: each request has half a second."""
    try:
        await asyncio.sleep(_REFUSE_SECONDS)
    finally:
        await session.close()


def _refused(body: bytes) -> DeliveryDenied | None:
    members = _members(body)
    try:
        return DeliveryDenied(printable(members["refused"]), RefusalKind(str(members.get("kind"))))
    except (KeyError, ValueError):
        return None


def _message(status: int, body: bytes) -> str:
    error = _members(body).get("error")
    return printable(error.get("message") if isinstance(error, dict) else None) or f"HTTP status {status}"


def _members(body: bytes) -> dict[str, Any]:
    try:
        members = json.loads(body)
    except (ValueError, RecursionError):
        members = None
    return members if isinstance(members, dict) else {}


def _words(error: BaseException) -> str:
    return printable(str(error))[:200] or type(error).__name__
