"""A cheap load: requests made beforehand, sent over TLS as fast as they are answered, by a process of its own.

``python -m benchmarks.load`` sends each line of a file as the body of a request and prints as JSON how it went.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import uvloop

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is sent where, and how.

    ``fresh`` opens a connection for each request; else every connection is kept. ``identity`` is a file with key and
    certificate, ``roots`` one with the server's. An answer counts that is 200 and holds ``expected``.
    """

    host: str
    port: int
    path: str
    bodies: Path
    roots: Path
    identity: Path | None = None
    connections: int = 64
    fresh: bool = False
    expected: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How it went; milliseconds from the request, or from the connection's begin where each is fresh, to the answer."""

    seconds: float
    answered: int
    errors: int
    first_error: str
    p50_ms: float
    p99_ms: float
    max_ms: float
    again: int = 0
    """Calls that were lost with their connection and made once more."""
    undone: int = 0
    """Of many nodes, those that had not done their part when the time was over."""


def send(load: Load, *, cores: str | None = None) -> Outcome:
    """Run the load in a process of its own, on some cores alone if it is told which, as ``taskset`` names them."""
    given = {name: getattr(load, name) for name in Load.__dataclass_fields__}
    command = [sys.executable, "-m", "benchmarks.load", json.dumps(given, default=str)]
    pinned = [] if cores is None else ["taskset", "--cpu-list", cores]
    done = subprocess.run([*pinned, *command], check=True, stdout=subprocess.PIPE, text=True)
    return Outcome(**json.loads(done.stdout))


@dataclass(slots=True)
class Tally:
    """Answers and failures so far."""

    latencies: list[float] = field(default_factory=list)
    errors: int = 0
    first_error: str = ""
    again: int = 0

    def fail(self, why: str) -> None:
        """Count a failure; the first is remembered in words."""
        self.errors += 1
        self.first_error = self.first_error or why


class _Connection(asyncio.Protocol):
    """Sends requests one after another, as many as it may."""

    def __init__(self, requests: Iterator[bytes], expected: bytes, tally: Tally) -> None:
        self._requests, self._expected, self._tally = requests, expected, tally
        self._received = bytearray()
        self._needed = 0
        self._begun = time.perf_counter()
        self._transport: asyncio.Transport | None = None
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._needed and (end := self._received.find(_END)) >= 0:
            length = _LENGTH.search(self._received, 0, end + 2)
            self._needed = end + len(_END) + (int(length[1]) if length else 0)
        if self._needed and len(self._received) >= self._needed:
            self._take(bytes(self._received))
            self._received, self._needed, self._begun = bytearray(), 0, time.perf_counter()
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self._tally.fail(f"connection lost: {exc}")
            self.done.set_result(None)

    def _take(self, answer: bytes) -> None:
        if answer.startswith(b"HTTP/1.1 200") and self._expected in answer:
            self._tally.latencies.append(time.perf_counter() - self._begun)
        else:
            self._tally.fail(answer[:400].decode("latin-1"))

    def _next(self) -> None:
        request = next(self._requests, None)
        assert self._transport is not None
        if request is not None:
            self._transport.write(request)
        else:
            self.done.set_result(None)
            self._transport.abort()


async def _run(load: Load) -> Outcome:
    requests = [_request(load, body) for body in load.bodies.read_bytes().splitlines()]
    context, tally, waiting = _context(load), Tally(), iter(requests)
    begun = time.perf_counter()
    if load.fresh:
        work = [_connect_for_each(load, context, waiting, tally) for _ in range(load.connections)]
    else:
        work = [_connect(load, context, waiting, tally) for _ in range(load.connections)]
    await asyncio.gather(*work)
    return outcome_of(time.perf_counter() - begun, tally)


async def _connect_for_each(load: Load, context: ssl.SSLContext, waiting: Iterator[bytes], tally: Tally) -> None:
    for request in waiting:
        await _connect(load, context, iter([request]), tally)


async def _connect(load: Load, context: ssl.SSLContext, requests: Iterator[bytes], tally: Tally) -> None:
    connection = _Connection(requests, load.expected.encode(), tally)
    try:
        await asyncio.get_running_loop().create_connection(lambda: connection, load.host, load.port, ssl=context)
    except OSError as error:
        tally.fail(str(error))
        return
    await connection.done


def outcome_of(seconds: float, tally: Tally) -> Outcome:
    """Sum up what was counted in so many seconds."""
    sorted_ms = sorted(round(latency * 1000, 2) for latency in tally.latencies) or [0.0]

    def part(share: float) -> float:
        return sorted_ms[min(len(sorted_ms) - 1, int(len(sorted_ms) * share))]

    return Outcome(
        seconds=seconds,
        answered=len(tally.latencies),
        errors=tally.errors,
        first_error=tally.first_error,
        p50_ms=part(0.5),
        p99_ms=part(0.99),
        max_ms=part(1.0),
        again=tally.again,
    )


def _request(load: Load, body: bytes) -> bytes:
    head = (
        f"POST {load.path} HTTP/1.1\r\nHost: {load.host}:{load.port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


def _context(load: Load) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(load.roots)
    if load.identity is not None:
        context.load_cert_chain(load.identity)
    return context


def _main(arguments: Sequence[str]) -> None:
    given = json.loads(arguments[0])
    paths = {name: Path(given[name]) for name in ("bodies", "roots", "identity") if given[name] is not None}
    outcome = uvloop.run(_run(Load(**{**given, **paths})))
    print(json.dumps({name: getattr(outcome, name) for name in Outcome.__dataclass_fields__}))


if __name__ == "__main__":
    _main(sys.argv[1:])
