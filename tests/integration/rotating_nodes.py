"""Nodes of a served home that follow a rotation by ``swarmsec node renew``, and openssl's judgement of their files."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ca.identity import NodeRole
from swarmsec.services.ports import Transaction
from swarmsec.services.rotation.rotation_status import RotationStatus, rotation_status
from swarmsec.wiring.nodes.nodefiles import CERTIFICATE, ROOTS, open_node_files
from tests.integration.serve_clients import SECONDS, Bearer
from tests.integration.serve_world import PROGRAM, ServedHome
from tests.peers.processes import ManagedProcess, wait_for

ROTATE = ("ca", "rotate", "--timeout", "60s", "--json")


def join(served: ServedHome, directory: Path, name: str, role: NodeRole = NodeRole.WORKER) -> Path:
    """Join a node by the command; returns its directory."""
    node = directory / name
    where = ("--server", served.url, "--dir", str(node), "--name", name)
    done = run("node", "join", *where, "--token", served.token(role))
    assert done.returncode == 0, done
    return node


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr, done
    return done


def follow(served: ServedHome, node: Path) -> subprocess.CompletedProcess[str]:
    """One look, as a timer does it."""
    return run("node", "renew", "--server", served.url, "--dir", str(node), "--if-due")


@contextmanager
def daemons(served: ServedHome, *nodes: Path) -> Iterator[None]:
    """A daemon for each node, which looks every second."""
    with ExitStack() as stack:
        for node in nodes:
            arguments = ("--server", served.url, "--dir", str(node), "--daemon", "--every", "1s")
            process = ManagedProcess([*PROGRAM, "node", "renew", *arguments], log=node.with_suffix(".log"))
            process.start()
            stack.callback(process.stop)
        yield


def bearer_of(node: Path) -> Bearer:
    """What a node shows now; kept, when the node goes on to another certificate."""
    pair = open_node_files(node).pair
    file = node.with_name(f"{node.name}-{pair.certificate.serial_number:x}.pem")
    file.write_bytes((node / "swarm-node.key").read_bytes() + (node / CERTIFICATE).read_bytes())
    return Bearer(key=pair.key, certificate=pair.certificate, file=file)


def status_of(served: ServedHome) -> RotationStatus:
    def read(transaction: Transaction) -> RotationStatus:
        newest = transaction.rotations.newest()
        assert newest is not None
        return rotation_status(transaction, newest)

    return served.read(read)


def wait_phase(served: ServedHome, phase: str) -> None:
    wait_for(lambda: status_of(served).record.phase == phase, timeout=SECONDS, what=f"the phase {phase}", interval=0.2)


def wait_ended(served: ServedHome) -> None:
    wait_for(lambda: status_of(served).is_over, timeout=60, what="the end of the rotation", interval=0.3)


def wait_roots(node: Path, roots: bytes) -> None:
    wait_for(lambda: roots_in(node) == roots, timeout=SECONDS, what=f"the roots of {node.name}")


def chain_is_good(node: Path, roots: Path) -> bool:
    """Whether openssl verifies a node's certificate, with what stands behind it in its file, under some roots."""
    file = str(node / CERTIFICATE)
    done = openssl("verify", "-x509_strict", "-no-CApath", "-CAfile", str(roots), "-untrusted", file, file)
    return done.returncode == 0


def server_is_good(served: ServedHome, roots: Path) -> bool:
    """Whether openssl shakes hands with the server under some roots."""
    address = f"{served.host}:{served.port}"
    trust = ("-no-CApath", "-CAfile", str(roots), "-verify_return_error")
    return openssl("s_client", "-connect", address, *trust).returncode == 0


def openssl(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "SSL_CERT_FILE": "/nonexistent"}
    return subprocess.run(
        ["openssl", *arguments], input=b"", capture_output=True, timeout=30, check=False, env=environment
    )


def roots_in(node: Path) -> bytes:
    return (node / ROOTS).read_bytes()
