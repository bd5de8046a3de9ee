"""The log over HTTP: the static resources of C2SP ``tlog-tiles`` below ``/log/``, and the witnesses' way in.

Whoever may read them gets exactly the bytes that an export writes. A checkpoint with cosignatures counts by what is
signed in it, not by who brings it.
"""

from __future__ import annotations

import json
from typing import Final, Protocol

from swarmsec.audit.notes import MAX_NOTE_BYTES
from swarmsec.audit.tiles import Tile
from swarmsec.errors import NotFound
from swarmsec.http import Caller, Request, Response, Route

PREFIX: Final = "/log"
_NOTE_TYPE: Final = "text/plain; charset=utf-8"
_TILE_TYPE: Final = "application/octet-stream"
_FOR_EVER: Final = {"Cache-Control": "private, max-age=31536000, immutable"}
_NOT_KEPT: Final = {"Cache-Control": "no-cache"}


class LogService(Protocol):
    """What these routes need of the parts behind the server."""

    async def checkpoint(self) -> bytes: ...
    async def read(self, tile: Tile) -> bytes | None: ...
    async def accept_cosigned(self, caller: Caller, note: bytes) -> list[str]: ...


def build_log_routes(service: LogService) -> list[Route]:
    """The routes ``log.checkpoint``, ``log.tile`` and ``log.cosignatures``."""

    async def checkpoint(request: Request) -> Response:
        return Response(body=await service.checkpoint(), content_type=_NOTE_TYPE, headers=_NOT_KEPT)

    async def tile(request: Request) -> Response:
        wanted = Tile.parse(f"tile/{request.path_values['path']}")
        data = await service.read(wanted)
        if data is None:
            raise NotFound("no such tile: the log is shorter, or the entries were pruned")
        return Response(body=data, content_type=_TILE_TYPE, headers=_FOR_EVER)

    async def cosignatures(request: Request) -> Response:
        names = await service.accept_cosigned(request.caller, request.body)
        return Response(body=json.dumps({"accepted": names}).encode())

    return [
        Route(
            name="log.checkpoint",
            method="GET",
            path=f"{PREFIX}/checkpoint",
            handler=checkpoint,
            operation=_operation("The newest signed checkpoint of the log", "text/plain"),
        ),
        Route(
            name="log.tile",
            method="GET",
            path=f"{PREFIX}/tile/{{path:path}}",
            handler=tile,
            operation=_operation("A tile of hashes, or a bundle of entries", _TILE_TYPE),
        ),
        Route(
            name="log.cosignatures",
            method="POST",
            path=f"{PREFIX}/cosignatures",
            handler=cosignatures,
            operation=_operation("Hand in a checkpoint that a witness cosigned", "application/json"),
            body_limit=MAX_NOTE_BYTES,
        ),
    ]


def _operation(summary: str, content: str) -> dict[str, object]:
    return {"summary": summary, "responses": {"200": {"description": "done", "content": {content: {}}}}}
