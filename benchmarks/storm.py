"""A whole Swarm joins and follows a rotation of its root: 4,700 nodes, Swarm3k's size, the load beside the server.

Each node calls over connections of its own. Both cores are shared by the server and the load, and the pace at which
nodes are given certificates of the new root is set higher than they can come. SwarmKit paces what it rotates at 30
nodes in 3 seconds, 470 s for as many; that is the peer, by its own constants, and nobody waits for it here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks.load import Outcome
from benchmarks.measure import Figure, single_figure
from tests.integration.serve_world import PROGRAM, ServedHome

NODES = int(os.environ.get("SWARMSEC_BENCH_NODES", "4700"))
CONNECTIONS = 64
JOIN_SECONDS, ROTATION_SECONDS = 20.0, 30.0
MEMORY_MB = 400.0
PACE_SECONDS = NODES / 30 * 3
_SETTINGS = "\n[ca]\nrotation_nodes_per_second = 10000\n"


def run() -> list[Figure]:
    """Measure a join and a rotation, once each; their times and the server's memory."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="swarmsec-bench-", dir=Path.cwd())))
        os.environ["SWARMSEC_STATE"] = str(directory / "state")
        home = ServedHome(directory)
        stack.callback(home.stop)
        home.create(settings=_SETTINGS).serve()
        (directory / "roots.pem").write_bytes(home.roots)
        joined = _crowd(home, directory, home.token(), lambda: None)
        rotation = _Rotation(home)
        followed = _crowd(home, directory, "", rotation.begin)
        rotation.wait()
        memory = _peak_memory_mb(home.process.pid)
        return [
            _time("join", joined, joined.seconds, JOIN_SECONDS),
            _time("follow a rotation", followed, rotation.seconds, ROTATION_SECONDS),
            _memory(memory),
        ]


class _Rotation:
    """``ca rotate``, which ends when every node was seen with a certificate of the new root and the old is retired."""

    def __init__(self, home: ServedHome) -> None:
        self._home = home
        self.seconds = 0.0

    def begin(self) -> None:
        self._begun = time.perf_counter()
        command = [*PROGRAM, "--home", str(self._home.home), "ca", "rotate", "--timeout", "10m"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def wait(self) -> None:
        said, _ = self._process.communicate(timeout=600)
        if self._process.returncode != 0:
            raise RuntimeError(f"the rotation failed: {said[-400:]}")
        self.seconds = time.perf_counter() - self._begun


def _crowd(home: ServedHome, directory: Path, token: str, begin: Callable[[], None]) -> Outcome:
    given = {
        "port": home.port,
        "count": NODES,
        "directory": str(directory),
        "roots": str(directory / "roots.pem"),
        "token": token,
        "connections": CONNECTIONS,
    }
    command = [sys.executable, "-m", "benchmarks.nodes", json.dumps(given)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        begin()
        said, _ = process.communicate("go\n")
    return Outcome(**json.loads(said))


def _time(name: str, outcome: Outcome, seconds: float, aim: float) -> Figure:
    if outcome.errors:
        raise RuntimeError(f"{outcome.errors} calls failed, the first: {outcome.first_error}")
    calls = f"p50 {outcome.p50_ms:,.0f} ms, p99 {outcome.p99_ms:,.0f} ms, {outcome.again} made again, no error"
    words = f"{NODES:,} nodes {name} (calls: {calls})"
    bound = round(aim * NODES / 4700 / PACE_SECONDS, 4)
    return single_figure(words, "SwarmKit's pace", "s", seconds, PACE_SECONDS, aim=bound)


def _memory(megabytes: float) -> Figure:
    return single_figure("memory of the server meanwhile", "the bound", "MB at most", megabytes, MEMORY_MB)


def _peak_memory_mb(pid: int) -> float:
    """The most resident memory so far (proc(5), VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the kernel tells no peak of resident memory")
