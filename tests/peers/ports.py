"""A port for a server that ends and comes back at the same address."""

from __future__ import annotations

import random
import socket
from pathlib import Path

from tests.peers.errors import PeerProblem

LOWEST = 10_000
_GIVEN_TO_ANYBODY = Path("/proc/sys/net/ipv4/ip_local_port_range")


def lasting_port() -> int:
    """A port of loopback that nobody listens on, and that the kernel gives to nobody who asks for any.

    One of those it gives could be taken while the server is away, by any connection of any other test (ip(7)).
    """
    first_given = int(_GIVEN_TO_ANYBODY.read_text().split()[0])
    for port in random.sample(range(LOWEST, first_given), 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise PeerProblem(f"expected a free port between {LOWEST} and {first_given}")
