"""Signs of life to whoever started the process, in the words of sd_notify(3)."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from swarmsec.wiring.process.supervising import Supervisor

SECONDS = 30.0


def received(environment: dict[str, str], listening: socket.socket, *, count: int) -> list[bytes]:
    """What comes until it is so much, or there is nobody who would say more."""
    supervisor = Supervisor.of(environment)
    supervisor.tell("READY=1")
    listening.setblocking(False)
    found: list[bytes] = []

    async def listen() -> None:
        beating = asyncio.create_task(supervisor.beat())
        async with asyncio.timeout(SECONDS):
            while len(found) < count and not beating.done():
                await asyncio.sleep(0.01)
                with suppress(BlockingIOError):
                    found.append(listening.recv(100))
        beating.cancel()

    asyncio.run(listen())
    return found


@pytest.mark.parametrize("is_abstract", [False, True])
def test_it_says_ready_and_then_again_and_again_that_it_lives(is_abstract: bool, tmp_path: Path) -> None:
    path = f"@swarmsec-test-{tmp_path.name}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{path[1:]}" if is_abstract else path)
        found = received({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "60000"}, listening, count=4)
    assert found == [b"READY=1", *[b"WATCHDOG=1"] * 3]


@pytest.mark.parametrize(
    "environment", [{}, {"NOTIFY_SOCKET": "relative"}, {"NOTIFY_SOCKET": "/nowhere/at/all", "WATCHDOG_USEC": "x"}]
)
def test_who_was_not_asked_says_nothing_and_goes_on(environment: dict[str, str], tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        assert received(environment, listening, count=1) == []
