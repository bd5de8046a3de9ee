"""How the server listens and what it bounds; every limit of the server is a field here."""

from __future__ import annotations

from dataclasses import dataclass, fields

KIB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Listening address, limits and times; times are seconds, sizes are bytes.

    ``host`` is an address or a name that resolves to addresses of this machine; ``port`` 0 picks a free one.

    Raises:
        ValueError: a limit or time is not positive, or the port is out of range.
    """

    host: str = "127.0.0.1"
    port: int = 0
    backlog: int = 1024
    reuse_port: bool = False

    max_connections: int = 8192
    handshake_timeout: float = 10.0
    header_timeout: float = 10.0
    """From the first byte of a request to the end of its headers."""
    body_timeout: float = 20.0
    """For a whole body, however it trickles."""
    write_timeout: float = 60.0
    """For a whole answer to be taken by the peer."""
    idle_timeout: float = 75.0
    sweep_interval: float = 0.5

    max_line: int = 8 * KIB
    max_header_field: int = 8 * KIB
    max_headers: int = 64

    max_running: int = 256
    """Handlers at work at the same time."""
    max_waiting: int = 4096
    """Requests that wait for a free place among them."""
    max_wait: float = 5.0

    attempt_burst: int = 10
    """Failed attempts that may follow each other at once."""
    attempts_per_minute: float = 10.0
    attempt_keys: int = 65_536
    """Counters kept in memory."""

    refusals_per_minute: int = 10
    """Refusals of one route, address and reason that are logged one by one."""
    refusals_per_minute_in_all: int = 600
    refusal_keys: int = 4096

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"expected a port from 0 to 65535, got {self.port}")
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, int | float) and not isinstance(value, bool) and item.name != "port" and value <= 0:
                raise ValueError(f"expected {item.name} above zero, got {value}")
