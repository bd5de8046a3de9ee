"""A witness over HTTP: ``add-checkpoint`` and the monitors' ``checkpoint`` of C2SP ``tlog-witness``."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from aiohttp import web

from swarmsec.audit.errors import CheckpointInvalid, LogFormatInvalid, ProofInvalid
from swarmsec.audit.witnessing import MAX_BYTES, AddCheckpoint, OriginUnknown, SizeConflict
from swarmsec.clock import Clock, SystemClock
from swarmsec.errors import SwarmsecError
from swarmsec.wiring.log.witnessdir import Witness
from swarmsec.wiring.serving.session import Listening

_PATH: Final = re.compile(r"/([0-9a-f]{64})/checkpoint")
_TEXT: Final = "text/plain"
_SIZE: Final = "text/x.tlog.size"


class WitnessServer:
    """Answers for one witness.

    Args:
        witness: open.
        clock: for the time of cosignatures.
    """

    def __init__(self, witness: Witness, clock: Clock) -> None:
        self._witness = witness
        self._clock = clock

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        if request.method == "POST" and request.path == "/add-checkpoint":
            body = await request.content.read(MAX_BYTES + 1)
            while len(body) <= MAX_BYTES and (more := await request.content.read(MAX_BYTES + 1)):
                body += more
            return await asyncio.to_thread(self._add, body)
        found = _PATH.fullmatch(request.path)
        note = self._witness.remembered(found[1]) if found and request.method in {"GET", "HEAD"} else None
        if note is None:
            return _answer(HTTPStatus.NOT_FOUND, "no such path or log\n")
        return web.Response(body=note, content_type=_TEXT, charset="utf-8")

    def _add(self, body: bytes) -> web.Response:
        try:
            return _answer(HTTPStatus.OK, self._witness.add_checkpoint(AddCheckpoint.parse(body), self._clock))
        except SizeConflict as conflict:
            return web.Response(status=HTTPStatus.CONFLICT, text=f"{conflict.known}\n", content_type=_SIZE)
        except OriginUnknown as error:
            return _answer(HTTPStatus.NOT_FOUND, f"{error}\n")
        except CheckpointInvalid as error:
            return _answer(HTTPStatus.FORBIDDEN, f"{error}\n")
        except ProofInvalid as error:
            return _answer(HTTPStatus.UNPROCESSABLE_ENTITY, f"{error}\n")
        except LogFormatInvalid as error:
            return _answer(HTTPStatus.BAD_REQUEST, f"{error}\n")
        except SwarmsecError as error:
            return _answer(HTTPStatus.SERVICE_UNAVAILABLE, f"{error}\n")


def _answer(status: HTTPStatus, text: str) -> web.Response:
    return web.Response(status=status, text=text, content_type=_TEXT)


def run_witness(witness: Witness, listening: Listening, announce: Callable[[str], None]) -> None:
    """Serve until TERM or INT."""
    asyncio.run(_run(witness, listening, announce))


async def _run(witness: Witness, listening: Listening, announce: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.ServerRunner(web.Server(WitnessServer(witness, SystemClock()).handle))
    await runner.setup()
    try:
        await web.TCPSite(runner, listening.host, listening.port).start()
        for host, port, *_ in runner.addresses:
            announce(f"listening on http://{f'[{host}]' if ':' in host else host}:{port}")
        await stop.wait()
    finally:
        await runner.cleanup()
