"""Telling systemd that a service is ready, and that its loop still turns (sd_notify(3), ``WatchdogSec=``)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, Self

_BEATS: Final = 3
"""For each time that systemd waits at most."""


class Supervisor:
    """Whoever started this process; nobody is told where nobody asked.

    Args:
        address: of the datagram socket, ``NOTIFY_SOCKET``; empty for none.
        beat_seconds: between two signs of life; 0 for none.
    """

    def __init__(self, address: str = "", beat_seconds: float = 0.0) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._beat_seconds = beat_seconds

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """From ``NOTIFY_SOCKET`` and ``WATCHDOG_USEC``; a number that is none counts as none."""
        address, digits = environment.get("NOTIFY_SOCKET", ""), environment.get("WATCHDOG_USEC", "")
        is_number = digits.isascii() and digits.isdigit() and len(digits) <= 15
        return cls(address if address[:1] in {"/", "@"} else "", int(digits) / 1e6 / _BEATS if is_number else 0.0)

    def tell(self, state: str) -> None:
        """Send one line, such as ``READY=1``; one that cannot be sent is not worth stopping for."""
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.setblocking(False)
            sock.connect(self._address)
            sock.send(state.encode())

    async def beat(self) -> None:
        """Say that the loop turns, again and again; a loop that stands still says nothing, and is started anew."""
        while self._beat_seconds > 0:
            self.tell("WATCHDOG=1")
            await asyncio.sleep(self._beat_seconds)
