"""A whole Swarm joins: 4,700 nodes, Swarm3k's size, each over a connection of its own, with the load beside the server.

Both cores are shared by the server and the load. SwarmKit paces what it rotates at 30 nodes in 3 seconds, 470 s for
as many; that is the peer, by its own constants, and nobody waits for it here.
"""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.engine import build_request
from benchmarks.load import Load, Outcome, send
from benchmarks.measure import Figure
from tests.integration.serve_world import ServedHome

NODES = int(os.environ.get("SWARMSEC_BENCH_NODES", "4700"))
CONNECTIONS = 64
JOIN_SECONDS = 20.0
MEMORY_MB = 400.0
PACE_SECONDS = NODES / 30 * 3


def run() -> list[Figure]:
    """Measure a join, once; the time and the server's memory."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="swarmsec-bench-", dir=Path.cwd())))
        os.environ["SWARMSEC_STATE"] = str(directory / "state")
        home = ServedHome(directory)
        stack.callback(home.stop)
        home.create().serve()
        roots, bodies = directory / "roots.pem", directory / "joins.jsonl"
        roots.write_bytes(home.roots)
        token = home.token()
        bodies.write_bytes(b"\n".join(_join_body(token) for _ in range(NODES)))
        joined = send(_load(home.port, bodies, roots))
        memory = _peak_memory_mb(home.process.pid)
        return [_time("join", joined), _memory(memory)]


def _join_body(token: str) -> bytes:
    return json.dumps({"token": token, "csr": build_request().decode("ascii")}).encode()


def _load(port: int, bodies: Path, roots: Path) -> Load:
    return Load(
        host="127.0.0.1",
        port=port,
        path="/api/v1/node/join",
        bodies=bodies,
        roots=roots,
        connections=CONNECTIONS,
        fresh=True,
        expected="BEGIN CERTIFICATE",
    )


def _time(name: str, outcome: Outcome) -> Figure:
    if outcome.errors or outcome.answered != NODES:
        raise RuntimeError(f"{outcome.errors} of {NODES} failed, the first: {outcome.first_error}")
    words = f"{NODES:,} nodes {name} (p50 {outcome.p50_ms:,.0f} ms, p99 {outcome.p99_ms:,.0f} ms, no error)"
    return _once(words, "SwarmKit's pace", "s", outcome.seconds, PACE_SECONDS, JOIN_SECONDS * NODES / 4700)


def _memory(megabytes: float) -> Figure:
    return _once("memory of the server meanwhile", "the bound", "MB at most", megabytes, MEMORY_MB, MEMORY_MB)


def _once(name: str, peer: str, unit: str, ours: float, theirs: float, aim: float) -> Figure:
    """A figure of one run, held against a bound rather than against the peer."""
    ratio, bound = ours / theirs, round(aim / theirs, 4)
    return Figure(
        name=name,
        peer=peer,
        unit=unit,
        ours=ours,
        theirs=theirs,
        ratio=ratio,
        spread=(ratio, ratio),
        aim=bound,
        at_least=False,
    )


def _peak_memory_mb(pid: int) -> float:
    """The most resident memory so far (proc(5), VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the kernel tells no peak of resident memory")
