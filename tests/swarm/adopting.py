"""What the tests of adopted Swarms share: three engines with a service, an authority, and looks at both."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.peers.engines import Engine
from tests.peers.errors import PeerProblem
from tests.peers.processes import wait_for
from tests.peers.swarm_files import certificates_directory
from tests.peers.swarmsec_host import PROGRAM, SwarmsecHost

SERVICE = "label=com.docker.swarm.service.name=shop"
SETTLED_SECONDS = 60.0
HEARTBEAT = "20s"
"""How often nodes report; after three times as long without one their tasks are started elsewhere. Docker's own is
five seconds, which an engine that stands still for a while, or a machine whose cores are all busy, comes near."""


def form_swarm(leader: Engine, *others: tuple[Engine, str], replicas: int = 3) -> None:
    """Make a Swarm of engines in their roles, with a service."""
    for engine in (leader, *(engine for engine, _ in others)):
        engine.import_busybox_image()
    leader.swarm_init("--dispatcher-heartbeat", HEARTBEAT)
    for engine, role in others:
        engine.swarm_join(leader, role=role)
    engines = [leader, *(engine for engine, _ in others)]
    leader.wait_for_nodes(*(engine.host.name for engine in engines))
    create = ("service", "create", "--detach", "--no-resolve-image", "--name", "shop", "--replicas", str(replicas))
    leader.docker(*create, "busybox:local")
    wait_for(lambda: len(tasks(engines)) == replicas, timeout=SETTLED_SECONDS, what="the service to run")


def tasks(engines: Sequence[Engine]) -> frozenset[str]:
    """The running containers of the service: another id is a task that was started anew."""
    listed = [engine.docker("ps", "--quiet", "--no-trunc", "--filter", SERVICE).stdout.split() for engine in engines]
    return frozenset(container for part in listed for container in part)


def start_authority(authority: SwarmsecHost, settings: str = "") -> None:
    """Make an authority and serve it."""
    recovery = {"./recovery.key": str(authority.directory / "recovery.key")}
    authority.typed("swarmsec --home ./authority ca init --recovery-out ./recovery.key", recovery)
    if settings:
        with (authority.home / "swarmsec.toml").open("a") as file:
            file.write(settings)
    authority.serve("swarmsec --home ./authority serve --listen 0.0.0.0:8443 --name ca.example.internal")


def adopt(authority: SwarmsecHost, docker: str) -> None:
    """``swarm adopt`` as its page has it, without questions.

    Args:
        docker: the address of a manager's engine.
    """
    here, options = {"https://ca.example.internal:8443": authority.url}, ("--docker", docker, "--yes")
    line = "swarmsec --home ./authority swarm adopt --url https://ca.example.internal:8443"
    authority.typed(line, here, *options)


def status_of(authority: SwarmsecHost) -> dict[str, dict[str, Any]]:
    """Nodes of ``swarm status`` by host name."""
    shown = json.loads(authority.typed("swarmsec swarm status --json").stdout)
    return {node["hostname"]: node for node in shown["nodes"]}


def verify_with_openssl(root: Path, engine: Engine) -> None:
    """Every node's certificate is under our root for somebody else's program as well."""
    certificate = certificates_directory(engine.data_root) / "swarm-node.crt"
    command = ["openssl", "verify", "-x509_strict", "-CAfile", str(root), str(certificate)]
    subprocess.run(command, check=True, capture_output=True)


def verify_all_ours(every: list[Engine], authority: SwarmsecHost) -> None:
    """Every engine has a certificate of the present root, by our word, the node's and openssl's.

    One that asks twice while the Swarm moves has the second one a moment after it was issued.
    """
    root = root_of(authority)
    for engine in every:
        verify_with_openssl(root, engine)
    what = "the certificates that were issued to be those that the nodes have"
    wait_for(lambda: _are_those_issued(every, authority), timeout=SETTLED_SECONDS, what=what)


def _are_those_issued(every: list[Engine], authority: SwarmsecHost) -> bool:
    seen = status_of(authority)
    told = {engine: seen[engine.host.name] for engine in every}
    return all(
        (node["source"], node["serial"], node["converged"])
        == ("issued", f"{engine.node_certificate().leaf.serial_number:x}", True)
        for engine, node in told.items()
    )


def root_of(authority: SwarmsecHost) -> Path:
    """Our root in a file."""
    path = authority.directory / "root.pem"
    path.write_text(authority.run("ca", "export").stdout)
    return path


@contextmanager
def frozen(engine: Engine) -> Iterator[None]:
    """Let an engine stand still: a rotation cannot end meanwhile, so what happens then happens in its middle."""
    os.kill(engine.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(engine.pid, signal.SIGCONT)


def begin(authority: SwarmsecHost, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a command and leave it to itself; what it says is in a file beside the home."""
    command = authority.host.command([*PROGRAM, "--home", str(authority.home), *arguments])
    with _said_by_begun(authority).open("wb") as said:
        return subprocess.Popen(command, env=authority.environment, stdout=subprocess.DEVNULL, stderr=said)


def _said_by_begun(authority: SwarmsecHost) -> Path:
    return authority.directory / "begun.log"


def wait_moving(manager: Engine, work: subprocess.Popen[bytes], authority: SwarmsecHost, what: str) -> None:
    """Wait until a command that was begun has the Swarm's root rotated.

    Raises:
        PeerProblem: it ended before that, with what it said.
    """
    wait_for(lambda: is_rotating(manager) or work.poll() is not None, timeout=SETTLED_SECONDS, what=what)
    if work.poll() is not None:
        said = _said_by_begun(authority).read_text()
        raise PeerProblem(f"expected {what}, the command ended with {work.returncode}: {said}")


def down(node: str, manager: Engine) -> bool:
    """Whether a manager has given a node up."""
    return manager.node_states().get(node) == "down"


def is_rotating(manager: Engine) -> bool:
    """Whether the Swarm's root is being rotated."""
    return manager.swarm()["RootRotationInProgress"] is True


def post_signing_request(authority: SwarmsecHost, directory: Path, body: object) -> str:
    """POST to the signing endpoint with the certificate and key of a directory, as ``curl`` would; status or error."""
    script = (
        "import ssl, sys, urllib3\n"
        "context = ssl.create_default_context(cafile=sys.argv[1])\n"
        "context.load_cert_chain(sys.argv[2] + '/cert.pem', sys.argv[2] + '/key.pem')\n"
        "pool = urllib3.PoolManager(ssl_context=context, retries=False)\n"
        "answer = pool.request('POST', sys.argv[3] + '/api/v1/cfssl/sign', body=sys.argv[4])\n"
        "print(answer.status)\n"
    )
    arguments = [str(root_of(authority)), str(directory), authority.url, json.dumps(body)]
    done = authority.host.run([PROGRAM[0], "-c", script, *arguments])
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


def sleep_until(moment: float) -> None:
    """Wait for a wall-clock time."""
    time.sleep(max(0.0, moment - time.time()))
