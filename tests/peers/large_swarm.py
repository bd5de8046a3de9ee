"""A simulated Swarm in a process of its own: ``python -m tests.peers.large_swarm SOCKET ROOT-PEM NODES``."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from tests.peers.simulated_manager import SimulatedManager

MANAGERS = 7


def main(socket: str, root: str, nodes: str) -> None:
    """Answer until TERM."""
    manager = SimulatedManager(Path(socket), cluster_id="1nppxlup4gqjnyefueyhd1lwz", root_pem=Path(root).read_text())
    for number in range(int(nodes)):
        manager.add_node(f"n{number}", f"host-{number}", "manager" if number < MANAGERS else "worker")
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with manager:
        ended.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
