"""Signs of life to whoever started the process, in the words of sd_notify(3)."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from swarmsec.wiring.process.supervising import Supervisor


def received(environment: dict[str, str], listening: socket.socket) -> list[bytes]:
    supervisor = Supervisor.of(environment)
    supervisor.tell("READY=1")

    async def beat() -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(supervisor.beat(), 0.2)

    asyncio.run(beat())
    listening.setblocking(False)
    found = []
    with suppress(BlockingIOError):
        while True:
            found.append(listening.recv(100))
    return found


@pytest.mark.parametrize("is_abstract", [False, True])
def test_it_says_ready_and_then_again_and_again_that_it_lives(is_abstract: bool, tmp_path: Path) -> None:
    path = f"@swarmsec-test-{tmp_path.name}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{path[1:]}" if is_abstract else path)
        found = received({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "60000"}, listening)
    assert (found[0], set(found[1:])) == (b"READY=1", {b"WATCHDOG=1"})
    assert len(found) > 3


@pytest.mark.parametrize(
    "environment", [{}, {"NOTIFY_SOCKET": "relative"}, {"NOTIFY_SOCKET": "/nowhere/at/all", "WATCHDOG_USEC": "x"}]
)
def test_who_was_not_asked_says_nothing_and_goes_on(environment: dict[str, str], tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        assert received(environment, listening) == []
