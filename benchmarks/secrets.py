"""Delivering secrets: what the driver holds, and what it adds to the start of a task.

The first runs ``swarmsec driver`` as a process of its own, beside its home or asking ``swarmsec serve``, with a manager
that knows one service, in a process of its own too. Each request is for another task; its entry is durable before the
answer. The second needs root and the packages of scripts/install-test-deps: it starts tasks on a real engine, with our
driver's secret, with one of Docker's own, and with none, in turn.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import uvloop

from benchmarks.measure import Figure, single_figure
from tests.integration.serve_world import ServedHome
from tests.integration.test_serve_enrolling import enrol, token
from tests.peers.engines import Engine, kill_engines
from tests.peers.namespaces import Site
from tests.peers.one_service_manager import DOCKER_SECRET, NODE, SERVICE
from tests.peers.processes import ManagedProcess, wait_for
from tests.peers.secret_driver import DriverProcess
from tests.peers.swarmsec_host import PROGRAM, SwarmsecHost

SECONDS = float(os.environ.get("SWARMSEC_BENCH_SECONDS", "10"))
STARTS = int(os.environ.get("SWARMSEC_BENCH_STARTS", "7"))
RATE = 200
HELD_AIM = 1_000.0
CONTRACT_MS = 500.0
START_AIM_MS = 50.0
CONNECTIONS = 32
NAME = "team/app/db"
VALUE = "x" * 64
POLICY = """
apiVersion: swarmsec.dev/v1
kind: SecretAccessPolicy
metadata: {name: shop}
spec:
  rules:
    - {secrets: ["team/app/*"], services: ["shop_*"], requireAttached: false, effect: allow}
"""
_HEAD = (
    b"POST /SecretProvider.GetSecret HTTP/1.1\r\nHost: \r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: %d\r\n\r\n"
)
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)
_BODY = json.dumps(
    {
        "SecretName": DOCKER_SECRET,
        "SecretLabels": {"io.swarmsec.name": NAME},
        "ServiceID": SERVICE,
        "ServiceName": "shop_api",
        "TaskID": "%s",
        "NodeID": NODE,
    }
).encode()
_VALUE = {"Value": base64.b64encode(VALUE.encode()).decode(), "DoNotReuse": True}


def run() -> list[Figure]:
    """Measure both."""
    figures: list[Figure] = []
    for is_remote in (False, True):
        with _driver(is_remote=is_remote) as socket:
            figures += _deliveries(socket, "driver asking serve" if is_remote else "driver beside its home")
    return [*figures, _task_start()]


@contextmanager
def _driver(*, is_remote: bool) -> Iterator[Path]:
    """A driver with its manager; its socket."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ss-", dir="/tmp")))
        former = os.environ.get("SWARMSEC_STATE")
        stack.callback(_set_state, former)
        _set_state(str(directory / "state"))
        home = stack.enter_context(ServedHome(directory)).create()
        for name, text in (("value", VALUE), ("policy.yaml", POLICY)):
            (directory / name).write_text(text)
            (directory / name).chmod(0o600)
        home.run("secrets", "create", NAME, "--file", str(directory / "value")).check_returncode()
        home.run("policy", "apply", str(directory / "policy.yaml")).check_returncode()
        manager, socket = directory / "manager.sock", directory / "driver.sock"
        peer = [sys.executable, "-m", "tests.peers.one_service_manager", str(manager)]
        _start(stack, peer, directory / "manager.log")
        wait_for(manager.exists, timeout=30, what="the manager")
        options = ("driver", "--socket", str(socket), "--docker", f"unix://{manager}")
        where = ["--home", str(home.home)]
        if is_remote:
            home.serve()
            enrol(home, token(home, "driver"), directory / "identity").check_returncode()
            where = ["--server", home.url, "--identity", str(directory / "identity")]
        log = directory / "driver.log"
        _start(stack, [*PROGRAM, *where, *options], log)
        wait_for(lambda: "driver ready" in log.read_text(), timeout=30, what="the driver")
        yield socket


def _set_state(text: str | None) -> None:
    if text is None:
        os.environ.pop("SWARMSEC_STATE", None)
    else:
        os.environ["SWARMSEC_STATE"] = text


def _start(stack: ExitStack, command: list[str], log: Path) -> None:
    process = ManagedProcess(command, log=log)
    process.start()
    stack.callback(process.stop, grace=10)


def _deliveries(socket: Path, name: str) -> list[Figure]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        held = runner.run(_held(socket))
        answers = runner.run(_paced(socket))
    refused, paced = sum(not came for came, _ in answers), sorted(took for _, took in answers)
    figures = [single_figure(f"deliveries, {name}", "1,000 a second", "a second", held, HELD_AIM, at_least=True)]
    late = f", {refused} of {len(paced)} late"
    for part in (50, 99):
        took = paced[min(len(paced) - 1, len(paced) * part // 100)] * 1000
        what = f"p{part} at {RATE} a second, {name}{late}"
        figures.append(single_figure(what, "500 ms", "ms", took, CONTRACT_MS, at_least=False))
    return figures


async def _held(socket: Path) -> float:
    """As many as are answered where each connection asks again at once; a second."""
    ends, count = time.monotonic() + SECONDS, 0

    async def ask_again(number: int) -> None:
        nonlocal count
        async with _connected(socket) as engine:
            while time.monotonic() < ends:
                # One that was refused for want of time was asked in vain. NOTE: ``count += await ...`` would read the
                # count before the others have raised it.
                came = await engine.ask(f"held{number}x{time.monotonic_ns()}")
                count += came

    began = time.monotonic()
    await asyncio.gather(*map(ask_again, range(CONNECTIONS)))
    return count / (time.monotonic() - began)


async def _paced(socket: Path) -> list[tuple[bool, float]]:
    """Whether a value came for each of ``RATE`` a second, and how long that took from when it was due, in seconds."""
    idle = asyncio.Queue[_Engine]()
    async with AsyncExitStack() as stack:
        for _ in range(CONNECTIONS):
            idle.put_nowait(await stack.enter_async_context(_connected(socket)))
        began = time.monotonic()

        async def ask_when_due(number: int) -> tuple[bool, float]:
            due = began + number / RATE
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            engine = await idle.get()
            came = await engine.ask(f"paced{number}")
            idle.put_nowait(engine)
            return came, time.monotonic() - due

        return list(await asyncio.gather(*map(ask_when_due, range(int(SECONDS * RATE)))))


@asynccontextmanager
async def _connected(socket: Path) -> AsyncIterator[_Engine]:
    reader, writer = await asyncio.open_unix_connection(str(socket))
    try:
        yield _Engine(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()


class _Engine:
    """Asks as an engine does, over one kept connection; with little work of its own, for it has the same processors."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, task: str) -> bool:
        """Whether the value came; nothing but being late may keep it."""
        body = _BODY % task.encode()
        self._writer.write(_HEAD % len(body) + body)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not head.startswith(b"HTTP/1.1 200 ") or length is None:
            raise RuntimeError(f"expected an answer of a driver, got {head!r}")
        found = json.loads(await self._reader.readexactly(int(length[1])))
        is_value = bool(found == _VALUE)
        if not is_value and "in time" not in found.get("Err", ""):
            raise RuntimeError(f"expected the value, got {found}")
        return is_value


def _task_start() -> Figure:
    """A task's start with our secret, less that with Docker's own, in milliseconds."""
    with ExitStack() as stack:
        site = stack.enter_context(Site())
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ss-", dir="/tmp")))
        authority = stack.enter_context(SwarmsecHost(site.add_host("ca"), directory / "ca"))
        engine = Engine(site.add_host("m1"), directory / "m1")
        stack.callback(kill_engines, [engine])
        engine.start()
        engine.wait_ready()
        engine.swarm_init()
        engine.import_busybox_image()
        for name, text in (("value", VALUE), ("policy.yaml", POLICY)):
            (authority.directory / name).write_text(text)
            (authority.directory / name).chmod(0o600)
        recovery = ("--recovery-out", str(authority.directory / "recovery"))
        authority.run("secrets", "create", NAME, "--file", str(authority.directory / "value"), *recovery)
        authority.run("policy", "apply", str(authority.directory / "policy.yaml"))
        stack.enter_context(DriverProcess(authority, engine))
        engine.docker("secret", "create", "--driver", "swarmsec", "--label", f"io.swarmsec.name={NAME}", DOCKER_SECRET)
        engine.docker("secret", "create", "native", "-", stdin=VALUE.encode())
        rounds = [
            [_start_once(engine, f"{n}", secret) for secret in ("", "native", DOCKER_SECRET)] for n in range(STARTS)
        ]
    none, native, ours = (statistics.median(column) for column in zip(*rounds, strict=True))
    differences = sorted((row[2] - row[1]) / START_AIM_MS for row in rounds)
    return Figure(
        name=f"task start with our secret ({ours:,.0f} ms) over a native one ({native:,.0f}) and none ({none:,.0f})",
        peer="50 ms",
        unit="ms more",
        ours=statistics.median(row[2] - row[1] for row in rounds),
        theirs=START_AIM_MS,
        ratio=statistics.median(differences),
        spread=(differences[0], differences[-1]),
        aim=1.0,
        at_least=False,
    )


def _start_once(engine: Engine, number: str, secret: str) -> float:
    """From asking for a service to its running task, in milliseconds."""
    name = f"shop_{number}_{secret.replace('.', '_') or 'none'}"
    options = ("--secret", secret) if secret else ()
    began = time.monotonic()
    engine.docker("service", "create", "--detach", "--no-resolve-image", "--name", name, *options, "busybox:local")
    while not any(task["Status"]["State"] == "running" for task in _tasks(engine, name)):
        time.sleep(0.005)
    took = (time.monotonic() - began) * 1000
    engine.docker("service", "rm", name)
    return took


def _tasks(engine: Engine, name: str) -> list[dict[str, dict[str, str]]]:
    found = engine.api("GET", f'/v1.41/tasks?filters={{"service":{{"{name}":true}}}}').json()
    return [task for task in found if isinstance(task, dict)]
