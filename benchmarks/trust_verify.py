"""Verifying 100 images: our one command beside the client of Notary v1, which takes a call for each.

Both memories are warm and both servers on loopback; every command asks its server for the newest timestamp. Ours
fetches each image's manifest from a registry as well, where ``notary verify`` is handed it as a file.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.images import pinned_machine
from benchmarks.measure import Figure, measure_pairs
from benchmarks.notary_peer import GUN, NotaryServer
from benchmarks.startup import PROGRAM
from benchmarks.trust_publish import free_port

IMAGES = 100
AIM = 1.0


def run() -> list[Figure]:
    """Measure both."""
    with (
        tempfile.TemporaryDirectory(prefix="swarmsec-bench-") as name,
        pinned_machine(Path(name), IMAGES) as (environment, images),
        tempfile.TemporaryDirectory(prefix="swarmsec-bench-") as peer,
        NotaryServer(Path(peer), free_port()) as server,
    ):
        commands = _signed_by(server, Path(peer), list(images.values()))
        ours = [sys.executable, *PROGRAM, "image", "verify", *images]
        return [
            measure_pairs(
                f"verify {IMAGES} images",
                f"notary verify, {IMAGES} times",
                "ms",
                ours=lambda: _ms([ours], environment),
                theirs=lambda: _ms(commands, None),
                aim=AIM,
                at_least=False,
                rounds=7,
                warm_ups=1,
            )
        ]


def _signed_by(server: NotaryServer, directory: Path, images: Sequence[bytes]) -> list[list[str]]:
    """Sign images with the peer; returns the command that verifies each."""
    server.publish_all({str(n): (hashlib.sha256(data).hexdigest(), len(data)) for n, data in enumerate(images)})
    client = ["/usr/bin/notary", "-c", str(server.write_client(directory)), "verify", "-q", GUN]
    for number, data in enumerate(images):
        (directory / f"{number}.json").write_bytes(data)
    return [[*client, str(number), "-i", str(directory / f"{number}.json")] for number in range(len(images))]


def _ms(commands: Sequence[Sequence[str]], environment: Mapping[str, str] | None) -> float:
    """Run commands one after the other."""
    began = time.perf_counter()
    for command in commands:
        subprocess.run(command, env=environment, check=True, capture_output=True)
    return (time.perf_counter() - began) * 1000
