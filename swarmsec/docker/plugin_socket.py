"""A legacy plugin's unix socket: mode 0600, answers root alone, and Docker's way of calling.

The engine proves who it is by the kernel's word (SO_PEERCRED, unix(7)); whoever is not root gets no answer at all, not
even to ``Plugin.Activate``.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final
from weakref import WeakSet

from aiohttp import web

from swarmsec.docker.secret_driver import (
    ACTIVATE_PATH,
    ACTIVATION,
    CONTENT_TYPE,
    MAX_REQUEST,
    SECRET_PATH,
    answer_with_error,
)
from swarmsec.errors import AlreadyExists, Unavailable, UsageProblem

Answer = Callable[[bytes], Awaitable[bytes]]
"""The body of a request in, the body of the answer out; never raises."""
_CREDENTIALS: Final = struct.Struct("3i")
BODY_SECONDS: Final = 2.0
BACKLOG: Final = 512
MAX_SOCKET_PATH: Final = 107
"""Bytes of ``sun_path`` less its terminating zero (unix(7))."""


class PluginSocket:
    """Serves a secret driver.

    Args:
        path: of the socket; its directory must exist.
        answer: to requests for secrets.
        uid: of the peers that are answered: root, unless a test says otherwise.
    """

    def __init__(self, path: Path, answer: Answer, *, uid: int = 0) -> None:
        self._path = path
        self._answer = answer
        self._uid = uid
        self._runner: web.ServerRunner | None = None
        self._of_root: WeakSet[asyncio.BaseTransport] = WeakSet()
        """Connections whose peer was asked for: it is who connected, for as long as the connection lives (unix(7))."""

    async def start(self) -> None:
        """Listen.

        Raises:
            AlreadyExists: another process answers there.
            UsageProblem: something that is no socket is in the way, or the path is too long.
            Unavailable: it cannot be made.
        """
        listening = _bound(self._path)
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None, keepalive_timeout=60.0))
        await self._runner.setup()
        await web.SockSite(self._runner, listening, backlog=BACKLOG).start()

    async def stop(self) -> None:
        """Answer what is under way, then go."""
        self._path.unlink(missing_ok=True)
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if not self._is_root(request):
            return _response(b'{"Err":"expected a request of root"}', status=403)
        if request.method != "POST":
            return _response(b'{"Err":"expected POST"}', status=405)
        if request.path == ACTIVATE_PATH:
            return _response(ACTIVATION)
        if request.path != SECRET_PATH:
            return _response(b'{"Err":"expected SecretProvider.GetSecret"}', status=404)
        try:
            body = await _body(request)
        except TimeoutError:
            return _response(answer_with_error("the request did not arrive in time"), status=408)
        if body is None:
            return _response(answer_with_error(f"expected at most {MAX_REQUEST} bytes"), status=413)
        return _response(await self._answer(body))

    def _is_root(self, request: web.BaseRequest) -> bool:
        transport = request.transport
        if transport in self._of_root:
            return True
        peer = transport.get_extra_info("socket") if transport else None
        if transport is None or peer is None:
            return False
        _, uid, _ = _CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
        if uid != self._uid:
            return False
        self._of_root.add(transport)
        return True


async def _body(request: web.BaseRequest) -> bytes | None:
    """The body; None for one that is too long.

    Raises:
        TimeoutError: it did not come in time.
    """
    content = request.content
    if content.is_eof():
        # All of it came with its head, as nearly always.
        return content.read_nowait() if content.total_bytes <= MAX_REQUEST else None
    parts, size = [], 0
    async with asyncio.timeout(BODY_SECONDS):
        async for part in content.iter_any():
            size += len(part)
            if size > MAX_REQUEST:
                return None
            parts.append(part)
    return b"".join(parts)


def _response(body: bytes, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, headers={"Content-Type": CONTENT_TYPE})


def _bound(path: Path) -> socket.socket:
    """Bind with nobody else able to connect, not even for a moment."""
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise UsageProblem(f"expected a socket path of at most {MAX_SOCKET_PATH} bytes, got {len(os.fsencode(path))}")
    _clear(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    former = os.umask(0o177)
    try:
        listening.bind(str(path))
    except OSError as error:
        listening.close()
        raise Unavailable(
            f"{path} could not be made: {error.strerror}", hint="run this as root, beside a Docker Engine"
        ) from None
    finally:
        os.umask(former)
    return listening


def _clear(path: Path) -> None:
    """Remove a socket that nobody listens on any more."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise Unavailable(f"{path} could not be looked at: {error.strerror}", hint="run this as root") from None
    if not stat.S_ISSOCK(mode):
        raise UsageProblem(f"expected a socket or nothing at {path}, got something else", hint="move it away")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise Unavailable(f"{path} could not be looked at: {error.strerror}", hint="run this as root") from None
    raise AlreadyExists(f"another driver answers at {path}", hint="stop it, or choose another --name")
