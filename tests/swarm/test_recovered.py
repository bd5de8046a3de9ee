"""A Swarm whose certificates have all expired is dead; it comes back with its nodes, its keys and its service."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.engines import Engine, StartEngines
from tests.peers.namespaces import Site
from tests.peers.processes import wait_for
from tests.peers.swarm_files import load_node_files
from tests.peers.swarmsec_host import SwarmsecHost
from tests.swarm.adopting import SETTLED_SECONDS, adopt, form_swarm, sleep_until, start_authority, status_of, tasks

MINUTES = 2
SHORT = f"\n[ca]\nallow_short_lifetimes = true\ncertificate_minutes = {MINUTES}\n"
EXPIRED = "error while loading TLS certificate"


@pytest.fixture
def authority(site: Site, peer_directory: Path) -> Iterator[SwarmsecHost]:
    with SwarmsecHost(site.add_host("ca"), peer_directory / "ca") as host:
        yield host


def state_of(engine: Engine) -> tuple[str, str]:
    """What an engine says of its Swarm, and what is wrong with it."""
    swarm = engine.api("GET", "/info").json()["Swarm"]
    return swarm["LocalNodeState"], swarm["Error"]


def restart(*engines: Engine) -> None:
    """Start stopped engines side by side."""
    for engine in engines:
        engine.start()
    for engine in engines:
        engine.wait_ready()


@pytest.mark.timeout(600)
def test_a_dead_swarm_with_locked_managers_comes_back(engines: StartEngines, authority: SwarmsecHost) -> None:
    m1, m2, w1 = every = engines("m1", "m2", "w1")
    form_swarm(m1, (m2, "manager"), (w1, "worker"))
    start_authority(authority, SHORT)
    adopt(authority, m1)
    authority.run("swarm", "autolock", "on")
    before = {engine.host.name: load_node_files(engine.data_root).node_id for engine in every}
    # Switching autolock on gives the managers another certificate; after this there is no newer one.
    wait_for(lambda: all(_is_locked(manager) for manager in (m1, m2)), timeout=SETTLED_SECONDS, what="locked keys")
    for engine in every:
        engine.stop()
    authority.stop()
    settings = authority.home / "swarmsec.toml"
    settings.write_text(settings.read_text().removesuffix(SHORT))

    sleep_until(time.time() + 60 * MINUTES + 1)
    restart(*every)
    wait_for(lambda: EXPIRED in state_of(w1)[1], timeout=SETTLED_SECONDS, what="the worker to be dead")
    assert {state_of(manager)[0] for manager in (m1, m2)} == {"locked"}
    running = authority.run("node", "recover", "--data-root", str(m1.data_root), check=False)
    assert (running.returncode, "is running" in running.stderr) == (3, True)

    for engine in every:
        engine.stop()
    for manager in (m1, m2):
        authority.run("node", "recover", "--data-root", str(manager.data_root), "--home", str(authority.home))
    authority.serve()
    token = authority.run("ca", "token", "create", "--role", "recover", "--node-name", before["w1"]).stdout.strip()
    by_token = ("--server", authority.url, "--token", token)
    authority.run("node", "recover", "--data-root", str(w1.data_root), *by_token)
    restart(*every)
    for manager in (m1, m2):
        authority.run("swarm", "autolock", "unlock", "--docker", manager.url)

    m1.wait_for_nodes("m1", "m2", "w1", timeout=SETTLED_SECONDS)
    assert {name: node["id"] for name, node in status_of(authority).items()} == before
    wait_for(lambda: len(tasks(every)) == 3, timeout=SETTLED_SECONDS, what="the service to run again")


def _is_locked(manager: Engine) -> bool:
    return b"ENCRYPTED" in (manager.data_root / "swarm" / "certificates" / "swarm-node.key").read_bytes()
