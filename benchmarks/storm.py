"""A whole Swarm joins and follows a rotation of its root: 4,700 nodes, Swarm3k's size, the load beside the server.

Each node calls over connections of its own, and keeps the one that it has. Both cores are shared by the server and the
load, and the pace at which nodes are given certificates of the new root is set higher than they can come. SwarmKit
paces what it rotates at 30 nodes in 3 seconds, 470 s for as many; that is the peer, by its own constants, and nobody
waits for it here. What takes longer than that is given up, and what was measured before is printed all the same.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
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
MOST_SECONDS = max(PACE_SECONDS, 60.0)
_END_SECONDS = 15.0
"""For the last steps of a rotation that every node has followed."""
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
        begun = _processor_seconds(home.process.pid)
        joined = _crowd(home, directory, home.token(), None)
        joining = _processor_seconds(home.process.pid) - begun
        rotation = _Rotation(home)
        stack.callback(rotation.stop)
        followed = None if _trouble(joined) else _crowd(home, directory, "", rotation)
        seconds, why = rotation.wait()
        following = _processor_seconds(home.process.pid) - rotation.processor
        figures = [_time("join", joined, joined.seconds, JOIN_SECONDS, joining)]
        if followed is not None:
            figures.append(_time("follow a rotation", followed, seconds, ROTATION_SECONDS, following, why))
        return [*figures, _memory(_peak_memory_mb(home.process.pid))]


class _Rotation:
    """``ca rotate``, which ends when every node was seen with a certificate of the new root and the old is retired."""

    def __init__(self, home: ServedHome) -> None:
        self._home = home
        self._process: subprocess.Popen[str] | None = None
        self.processor = 0.0
        """What the server had taken of the processors when it began."""

    def begin(self) -> None:
        self._begun, self.processor = time.perf_counter(), _processor_seconds(self._home.process.pid)
        command = [*PROGRAM, "--home", str(self._home.home), "ca", "rotate", "--timeout", "10m"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._waiter = threading.Thread(target=self._note_end, args=(self._process,), daemon=True)
        self._waiter.start()

    def _note_end(self, process: subprocess.Popen[str]) -> None:
        """Take the time when it ends: the load's process may take longer to come to its own end."""
        self._said, _ = process.communicate()
        self._ended = time.perf_counter()

    @property
    def has_failed(self) -> bool:
        """Whether it has ended, and not well."""
        return self._process is not None and self._process.returncode not in (None, 0)

    def wait(self) -> tuple[float, str]:
        """How many seconds it took, and why it failed, or nothing."""
        if self._process is None:
            return 0.0, "never begun"
        self._waiter.join(_END_SECONDS)
        if self._waiter.is_alive():
            return time.perf_counter() - self._begun, "given up"
        seconds = self._ended - self._begun
        return seconds, "" if self._process.returncode == 0 else f"failed: {' '.join(self._said.split())[-300:]}"

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._waiter.join()


def _crowd(home: ServedHome, directory: Path, token: str, rotation: _Rotation | None) -> Outcome:
    given = {
        "port": home.port,
        "count": NODES,
        "directory": str(directory),
        "roots": str(directory / "roots.pem"),
        "token": token,
        "connections": CONNECTIONS,
        "seconds": MOST_SECONDS,
    }
    command = [sys.executable, "-m", "benchmarks.nodes", json.dumps(given)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        if rotation is not None:
            rotation.begin()
        process.stdin.write("go\n")
        process.stdin.flush()
        while process.poll() is None:
            if rotation is not None and rotation.has_failed:
                # Nobody is going to be told to renew any more.
                break
            time.sleep(0.02)
        said, _ = process.communicate()
    return Outcome(**json.loads(said))


def _time(name: str, outcome: Outcome, seconds: float, aim: float, processor: float, why: str = "") -> Figure:
    trouble = "; ".join(words for words in (why, _trouble(outcome)) if words)
    calls = f"p50 {outcome.p50_ms:,.0f} ms, p99 {outcome.p99_ms:,.0f} ms, {outcome.again} made again"
    cost = f"{processor / NODES * 1000:.1f} ms of the server's processor time a node"
    words = f"{NODES:,} nodes {name} ({cost}; calls: {calls}, {trouble or 'no error'})"
    bound = round(aim * NODES / 4700 / PACE_SECONDS, 4)
    # Time that did not lead to the end holds no aim, however short it was.
    taken = math.inf if trouble else seconds
    return single_figure(words, "SwarmKit's pace", "s", taken, PACE_SECONDS, aim=bound)


def _trouble(outcome: Outcome) -> str:
    """What is wrong with how it went, or nothing."""
    if outcome.errors:
        return f"{outcome.errors:,} failed, the first: {outcome.first_error}"
    return f"given up after {outcome.seconds:.0f} s with {outcome.undone:,} left" if outcome.undone else ""


def _memory(megabytes: float) -> Figure:
    return single_figure("memory of the server meanwhile", "the bound", "MB at most", megabytes, MEMORY_MB)


def _processor_seconds(pid: int) -> float:
    """What a process took of the processors so far (proc(5), utime and stime)."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


def _peak_memory_mb(pid: int) -> float:
    """The most resident memory so far (proc(5), VmHWM); infinite for a server that has ended."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return math.inf
