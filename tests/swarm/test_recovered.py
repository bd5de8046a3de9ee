"""A Swarm whose certificates have all expired is dead; it comes back with its nodes, its keys and its service."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.commands import SOAK
from tests.peers.engines import Engine, StartEngines
from tests.peers.processes import wait_for
from tests.peers.swarm_files import certificates_directory, load_node_files
from tests.peers.swarmsec_host import SwarmsecHost
from tests.swarm.adopting import SETTLED_SECONDS, adopt, form_swarm, sleep_until, start_authority, status_of, tasks

MINUTES = 4 if SOAK else 2
SHORT = f"\n[ca]\nallow_short_lifetimes = true\ncertificate_minutes = {MINUTES}\n"
EXPIRED = "error while loading TLS certificate"


def state_of(engine: Engine) -> tuple[str, str]:
    """What an engine says of its Swarm, and what is wrong with it."""
    swarm = engine.api("GET", "/info").json()["Swarm"]
    return swarm["LocalNodeState"], swarm["Error"]


def stop(*engines: Engine) -> None:
    """Stop engines side by side."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(Engine.stop, engines))


def restart(*engines: Engine) -> None:
    """Start stopped engines side by side."""
    for engine in engines:
        engine.start()
    for engine in engines:
        engine.wait_ready()


@pytest.mark.timeout(900)
def test_a_dead_swarm_with_locked_managers_comes_back(engines: StartEngines, authority: SwarmsecHost) -> None:
    m1, m2, w1 = every = engines("m1", "m2", "w1")
    form_swarm(m1, (m2, "manager"), (w1, "worker"))
    start_authority(authority, SHORT)
    adopt(authority, m1.url)
    authority.run("swarm", "autolock", "on")
    before = {engine.host.name: engine.node_certificate().node_id for engine in every}
    # Switching autolock on gives the managers another certificate; after this there is no newer one.
    wait_for(lambda: all(_is_locked(manager) for manager in (m1, m2)), timeout=SETTLED_SECONDS, what="locked keys")
    stop(*every)
    # Read when none can renew any more.
    last = max(load_node_files(engine.data_root).leaf.not_valid_after_utc for engine in every)
    authority.stop()
    settings = authority.home / "swarmsec.toml"
    settings.write_text(settings.read_text().removesuffix(SHORT))

    sleep_until(last.timestamp() + 1)
    restart(*every)
    wait_for(lambda: EXPIRED in state_of(w1)[1], timeout=SETTLED_SECONDS, what="the worker to be dead")
    assert {state_of(manager)[0] for manager in (m1, m2)} == {"locked"}
    running = authority.run("node", "recover", "--data-root", str(m1.data_root), check=False)
    assert (running.returncode, "is running" in running.stderr) == (3, True)

    stop(*every)
    here = {"/var/lib/docker": str(m1.data_root), "./authority": str(authority.home)}
    authority.typed("swarmsec node recover --data-root /var/lib/docker --home ./authority", here)
    authority.serve()
    for engine in (m2, w1):
        _recover_by_token(engine, before[engine.host.name], authority)
    restart(*every)
    for manager in (m1, m2):
        authority.run("swarm", "autolock", "unlock", "--docker", manager.url)

    m1.wait_for_nodes("m1", "m2", "w1", timeout=SETTLED_SECONDS)
    assert {name: node["id"] for name, node in status_of(authority).items()} == before
    wait_for(lambda: len(tasks(every)) == 3, timeout=SETTLED_SECONDS, what="the service to run again")


def _recover_by_token(engine: Engine, node_id: str, authority: SwarmsecHost) -> None:
    """The way for a machine that has not the home; a locked manager's key stays as it is."""
    key = (certificates_directory(engine.data_root) / "swarm-node.key").read_bytes()
    create = "swarmsec ca token create --role recover --node-name 4l5z7ma00k44cuk0ug4d10ngs"
    token = authority.typed(create, {"4l5z7ma00k44cuk0ug4d10ngs": node_id}).stdout.strip()
    places = {
        "/var/lib/docker": str(engine.data_root),
        "https://ca.example.internal:8443": authority.url,
        "SWMTKN-1-…": token,
    }
    line = (
        "swarmsec node recover --data-root /var/lib/docker --server https://ca.example.internal:8443 --token SWMTKN-1-…"
    )
    authority.typed(line, places)
    assert (certificates_directory(engine.data_root) / "swarm-node.key").read_bytes() == key


def _is_locked(manager: Engine) -> bool:
    return b"ENCRYPTED" in (manager.data_root / "swarm" / "certificates" / "swarm-node.key").read_bytes()
