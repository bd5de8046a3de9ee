"""The plugin's socket: whom it answers, what it takes, and what may lie in its way."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import stat
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from swarmsec.docker import plugin_socket
from swarmsec.docker.plugin_socket import PluginSocket
from swarmsec.docker.secret_driver import ACTIVATION, MAX_REQUEST
from swarmsec.errors import AlreadyExists, SwarmsecError, UsageProblem

GET = b"/SecretProvider.GetSecret"


@pytest.fixture
def path() -> Iterator[Path]:
    with TemporaryDirectory(prefix="ss-", dir="/tmp") as directory:
        yield Path(directory) / "p.sock"


async def echo(body: bytes) -> bytes:
    return b"<" + body + b">"


async def exchange(path: Path, data: bytes) -> bytes:
    """Send bytes, and read until the other side closes or has answered."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(data)
    await writer.drain()
    answer = await reader.read(65536)
    writer.close()
    return answer


def post(target: bytes, body: bytes = b"", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return b"POST %b HTTP/1.1\r\nHost:\r\nContent-Length: %d\r\n\r\n%b" % (target, size, body)


def served(path: Path, ask: Callable[[], Awaitable[bytes]], *, uid: int | None = None) -> bytes:
    async def run() -> bytes:
        plugin = PluginSocket(path, echo, uid=os.getuid() if uid is None else uid)
        await plugin.start()
        try:
            return await ask()
        finally:
            await plugin.stop()

    return asyncio.run(run())


def test_docker_activates_it_and_is_answered(path: Path) -> None:
    assert served(path, lambda: exchange(path, post(b"/Plugin.Activate"))).endswith(ACTIVATION)
    assert served(path, lambda: exchange(path, post(GET, b"body"))).endswith(b"<body>")


def test_a_connection_is_kept_however_its_requests_come_in(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin_socket, "BODY_SECONDS", 60.0)

    async def ask() -> bytes:
        reader, writer = await asyncio.open_unix_connection(str(path))
        answers = b""
        for pieces in ([post(GET, b"whole")], [post(GET, length=5), b"pie", b"ce"], [post(GET)], [post(GET, b"last")]):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.05)
            answers += await reader.readuntil(b">")
        writer.close()
        return answers

    answers = served(path, ask)
    assert re.findall(rb"<.*?>", answers) == [b"<whole>", b"<piece>", b"<>", b"<last>"]


def test_nobody_but_its_user_is_answered_not_even_when_activating(path: Path) -> None:
    for target in (b"/Plugin.Activate", GET):
        answer = served(path, partial(exchange, path, post(target, b"x")), uid=os.getuid() + 1)
        assert answer.startswith(b"HTTP/1.1 403"), answer
        assert ACTIVATION not in answer
        assert b"<x>" not in answer


def test_only_its_user_may_connect(path: Path) -> None:
    async def look() -> bytes:
        return b"%o" % stat.S_IMODE(path.stat().st_mode)

    former = os.umask(0)
    try:
        assert served(path, look) == b"600"
    finally:
        os.umask(former)
    assert not path.exists()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /Plugin.Activate HTTP/1.1\r\nHost:\r\n\r\n", 405),
        (post(b"/VolumeDriver.Mount"), 404),
        (post(GET, b"a" * (MAX_REQUEST + 1)), 413),
        (b"\x00\xff garbage\r\n\r\n", 400),
    ],
)
def test_other_requests_are_refused(path: Path, data: bytes, status: int) -> None:
    assert served(path, lambda: exchange(path, data)).split(b" ")[1] == b"%d" % status


def test_a_request_that_ends_half_sent_is_refused_in_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin_socket, "BODY_SECONDS", 0.1)
    answer = served(path, lambda: exchange(path, post(GET, b"half", length=100)))
    assert answer.startswith(b"HTTP/1.1 408")


def test_a_half_sent_request_keeps_nobody_waiting(path: Path) -> None:
    async def ask() -> bytes:
        _, writer = await asyncio.open_unix_connection(str(path))
        writer.write(post(GET, b"half", length=100))
        await writer.drain()
        answer = await exchange(path, post(GET, b"whole"))
        writer.close()
        return answer

    assert served(path, ask).endswith(b"<whole>")


def test_a_socket_that_a_killed_driver_left_is_taken_over(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    assert served(path, lambda: exchange(path, post(GET, b"x"))).endswith(b"<x>")


def test_a_second_driver_is_refused_and_the_first_goes_on(path: Path) -> None:
    async def ask() -> bytes:
        with pytest.raises(AlreadyExists, match="another driver answers"):
            await PluginSocket(path, echo).start()
        return await exchange(path, post(GET, b"x"))

    assert served(path, ask).endswith(b"<x>")


def test_what_is_no_socket_is_left_alone(path: Path) -> None:
    path.write_text("mine")
    with pytest.raises(UsageProblem, match="expected a socket or nothing"):
        served(path, lambda: exchange(path, b""))
    assert path.read_text() == "mine"


def test_a_path_that_the_kernel_does_not_take_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="at most 107 bytes"):
        served(tmp_path / ("a" * 108), lambda: exchange(tmp_path, b""))


def test_a_directory_that_is_not_there_is_told(path: Path) -> None:
    with pytest.raises(SwarmsecError, match="could not be made"):
        served(path.parent / "none" / "p.sock", lambda: exchange(path, b""))
