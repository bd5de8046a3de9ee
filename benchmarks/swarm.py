"""A Swarm on this authority: adopting one beside Docker's own rotation, and what looking at a large one costs.

The first needs root and the packages of scripts/install-test-deps: it starts real engines, and compares on the same
Swarm, one after the other. The second is a whole process against a simulated manager in a process of its own, held
against what it may cost.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import Figure
from benchmarks.startup import installed
from ca.identity import NodeIdentity, NodeRole
from swarmsec.services.ca.authority import load_authority
from swarmsec.services.ca.issue_for_nodes import issue_for_node
from swarmsec.services.ports import Transaction
from swarmsec.services.requester import SERVICE
from swarmsec.wiring.ca.authority import served_lifetime_of
from swarmsec.wiring.homes.home import open_home
from tests.peers.engines import Engine, kill_engines
from tests.peers.namespaces import Site
from tests.peers.swarmsec_host import SwarmsecHost
from tests.unit.swarmsec.services.desk import new_key, spki_of

ROUNDS = 3
ADOPT_AIM = 1.5
ROTATE_AIM = 3.0
NODES = 4_700
STATUS_MS = 2_000.0
STATUS_MIB = 300.0
PROGRAM = ("-c", "from swarmsec.cli import main; main()")
BATCH = 200


def run() -> list[Figure]:
    """Measure both."""
    return [*_moving(), *_looking()]


def _moving() -> list[Figure]:
    rounds = [_move_once() for _ in range(ROUNDS)]
    theirs = [took[0] for took in rounds]
    return [
        _beside("swarm adopt, three engines", [took[1] for took in rounds], theirs, ADOPT_AIM),
        _beside("ca rotate, three engines", [took[2] for took in rounds], theirs, ROTATE_AIM),
    ]


def _beside(name: str, ours: list[float], theirs: list[float], aim: float) -> Figure:
    ratios = sorted(mine / peers for mine, peers in zip(ours, theirs, strict=True))
    return Figure(
        name=name,
        peer="docker swarm ca --rotate",
        unit="ms",
        ours=statistics.median(ours),
        theirs=statistics.median(theirs),
        ratio=statistics.median(ratios),
        spread=(ratios[0], ratios[-1]),
        aim=aim,
        at_least=False,
    )


def _move_once() -> tuple[float, float, float]:
    """One Swarm of three: Docker's own rotation, then adopting, then ours in two moves; milliseconds."""
    with Site() as site, tempfile.TemporaryDirectory(prefix="ss-", dir="/tmp") as name:
        engines = [Engine(site.add_host(host), Path(name) / host) for host in ("m1", "m2", "w1")]
        try:
            for engine in engines:
                engine.start()
            for engine in engines:
                engine.wait_ready()
            manager = engines[0]
            manager.swarm_init()
            engines[1].swarm_join(manager, role="manager")
            engines[2].swarm_join(manager)
            manager.wait_for_nodes("m1", "m2", "w1")
            with SwarmsecHost(site.add_host("ca"), Path(name) / "ca") as authority:
                authority.environment = installed(authority.directory)
                authority.run("ca", "init", "--recovery-out", str(Path(name) / "recovery.key"))
                authority.serve()
                theirs = _timed(lambda: manager.docker("swarm", "ca", "--rotate", "--quiet"))
                adopt = ("swarm", "adopt", "--docker", manager.url, "--url", authority.url)
                # A look first, as its page says; it also has the modules compiled, as they are where it is installed.
                authority.run(*adopt, "--dry-run")
                adopting = _timed(lambda: authority.run(*adopt, "--yes"))
                return theirs, adopting, _timed(lambda: authority.run("ca", "rotate"))
        finally:
            kill_engines(engines)


def _looking() -> list[Figure]:
    with large_swarm() as (home, url):
        status = ["--home", str(home), "swarm", "status", "--docker", url, "--json"]
        cost_of(status, home.parent)
        costs = [cost_of(status, home.parent) for _ in range(ROUNDS)]
    return figures_of(f"swarm status, {NODES} nodes", costs, milliseconds=STATUS_MS, mebibytes=STATUS_MIB)


@contextmanager
def large_swarm() -> Iterator[tuple[Path, str]]:
    """A home that issued a certificate to each of many nodes, and a simulated manager that knows them.

    Gives the home's directory, which others may lie beside, and the manager's address.
    """
    with tempfile.TemporaryDirectory(prefix="ss-", dir="/tmp") as name:
        directory = Path(name)
        environment = installed(directory)
        # The home is opened in this process as well.
        os.environ["SWARMSEC_STATE"] = environment["SWARMSEC_STATE"]
        home = directory / "home"
        init = ["--home", str(home), "-q", "ca", "init", "--recovery-out", str(directory / "recovery.key")]
        subprocess.run([sys.executable, *PROGRAM, *init], env=environment, check=True, capture_output=True)
        root = _fill(home)
        (directory / "root.pem").write_bytes(root)
        sock = directory / "d.sock"
        manager = [sys.executable, "-m", "tests.peers.large_swarm", str(sock), str(directory / "root.pem"), str(NODES)]
        with subprocess.Popen(manager) as serving:
            try:
                while not sock.exists():
                    time.sleep(0.05)
                yield home, f"unix://{sock}"
            finally:
                serving.terminate()


def figures_of(name: str, costs: list[tuple[float, float]], *, milliseconds: float, mebibytes: float) -> list[Figure]:
    """Time and memory of whole processes, held against what they may take."""
    times, sizes = ([cost[index] for cost in costs] for index in range(2))
    return [
        _against(name, "what it may take", "ms", times, milliseconds),
        _against(f"{name}, memory", "what it may take", "MiB", sizes, mebibytes),
    ]


def _against(name: str, peer: str, unit: str, ours: list[float], allowed: float) -> Figure:
    ratios = sorted(value / allowed for value in ours)
    return Figure(
        name=name,
        peer=peer,
        unit=unit,
        ours=statistics.median(ours),
        theirs=allowed,
        ratio=statistics.median(ratios),
        spread=(ratios[0], ratios[-1]),
        aim=1.0,
        at_least=False,
    )


def _fill(path: Path) -> bytes:
    """Issue a certificate for each node; returns the root."""
    os.umask(0o077)
    home = open_home(path)
    keys = home.keys()
    lifetime = served_lifetime_of(home.config)
    authority = home.store.read(lambda transaction: load_authority(transaction, keys, lifetime))

    def unit(number: int) -> Callable[[Transaction], object]:
        role = NodeRole.MANAGER if number < 7 else NodeRole.WORKER
        identity = NodeIdentity(cluster_id=authority.cluster_id, role=role, node_id=f"n{number}")
        spki = spki_of(new_key())
        return lambda transaction: issue_for_node(transaction, authority, identity, spki, SERVICE, via="benchmark")

    for start in range(0, NODES, BATCH):
        home.store.write_group([unit(number) for number in range(start, min(start + BATCH, NODES))])
    home.close()
    return authority.bundle_pem


def _timed(action: Callable[[], object]) -> float:
    begin = time.perf_counter()
    action()
    return (time.perf_counter() - begin) * 1000


def cost_of(arguments: list[str], directory: Path) -> tuple[float, float]:
    """Milliseconds and MiB of swarmsec, called with these arguments."""
    measured = (
        "import resource, subprocess, sys, time; begin = time.perf_counter();"
        " subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); end = time.perf_counter();"
        " print((end - begin) * 1000, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-c", measured, sys.executable, *PROGRAM, *arguments],
        check=True,
        capture_output=True,
        text=True,
        cwd=directory,
        env=installed(directory),
    )
    milliseconds, size = done.stdout.split()
    return float(milliseconds), float(size)
