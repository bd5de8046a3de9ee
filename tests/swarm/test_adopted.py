"""A running Swarm is adopted, watched, locked and cleaned up, on real engines."""

from __future__ import annotations

import shlex
import signal
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.peers.engine_proxy import EngineProxy
from tests.peers.engines import Engine, StartEngines
from tests.peers.processes import wait_for
from tests.peers.swarm_files import certificates_directory, load_node_files
from tests.peers.swarmsec_host import SwarmsecHost
from tests.swarm.adopting import (
    SETTLED_SECONDS,
    adopt,
    begin,
    form_swarm,
    post_signing_request,
    root_of,
    start_authority,
    status_of,
    tasks,
    verify_all_ours,
    verify_with_openssl,
    wait_moving,
)

COMMANDS = (
    ("swarm", "status"),
    ("swarm", "adopt", "--yes"),
    ("swarm", "evict", "w2", "--yes"),
    ("swarm", "release", "--yes"),
    ("swarm", "autolock", "on"),
    ("swarm", "autolock", "off"),
    ("swarm", "autolock", "rotate"),
    ("ca", "rotate"),
)
OTHERS_LIMIT = 7


@pytest.mark.timeout(900)
def test_a_swarm_is_adopted_watched_locked_and_cleaned_up(engines: StartEngines, authority: SwarmsecHost) -> None:
    m1, m2, w1, w2 = engines("m1", "m2", "w1", "w2")
    form_swarm(m1, (m2, "manager"), (w1, "worker"))
    start_authority(authority)
    before = tasks([m1, m2, w1])

    here = {"https://ca.example.internal:8443": authority.url}
    line = "swarmsec --home ./authority swarm adopt --url https://ca.example.internal:8443 --dry-run"
    seen = authority.typed(line, here, "--docker", m1.url)
    assert "nothing was changed" in seen.stderr
    refused = authority.run("swarm", "adopt", "--docker", m1.url, "--url", authority.url, check=False)
    assert (refused.returncode, "expected --yes" in refused.stderr) == (2, True)
    with EngineProxy(authority.directory / "docker.sock", m1.socket) as wire:
        # From here on it is this home's Docker.
        adopt(authority, wire.url)
        _verify_adopted([m1, m2, w1], w2, before, authority)
        _ask_the_swarm_itself(m1, w1, authority)
        _demote(m1, m2, authority)
        _evict_while_it_is_down(w1, m1, wire, authority)
        _lock(m1, wire, authority)
    _meet_what_does_not_answer(w2, authority)
    authority.run("audit", "verify")


def _verify_adopted(every: list[Engine], further: Engine, before: frozenset[str], authority: SwarmsecHost) -> None:
    """No task was started anew, every certificate is ours, and a further engine joins."""
    m1, root = every[0], root_of(authority)
    assert tasks(every) == before
    for engine in every:
        verify_with_openssl(root, engine)
    listed = m1.docker("node", "ls", "--format", "{{.Status}} {{.TLSStatus}}").stdout.splitlines()
    assert listed == ["Ready Ready"] * 3

    token = m1.docker(*shlex.split("docker swarm join-token worker")[1:], "--quiet").stdout.strip()
    there = {"SWMTKN-1-…": token, "m1.example.internal:2377": f"{m1.address}:2377"}
    join = shlex.split("docker swarm join --token SWMTKN-1-… m1.example.internal:2377")[1:]
    further.docker(*(there.get(word, word) for word in join))
    m1.wait_for_nodes("m1", "m2", "w1", "w2")
    verify_all_ours([*every, further], authority)
    assert authority.run("ca", "token", "worker", check=False).returncode == 2


def _ask_the_swarm_itself(m1: Engine, w1: Engine, authority: SwarmsecHost) -> None:
    """With a certificate made for it when told so, which is named until it ends; a worker's opens nothing."""
    asked = authority.typed("swarmsec swarm status --issue-manager-cert").stdout
    assert f"control   {m1.address}:2377: 4 certificates" in asked
    assert asked.count("\tissued\n") == 4
    assert "m1" in authority.typed("swarmsec swarm status").stdout
    obsolete = authority.json("swarm", "status")["obsolete_manager_certificates"]
    # An engine may have asked twice while the Swarm moved, and then has one that was replaced.
    (own,) = [item for item in obsolete if item["reason"] != "replaced"]
    assert own["node_id"].startswith("swarmsec-status-")
    two_doors = ("--issue-manager-cert", "--data-root", str(m1.data_root))
    assert authority.run("swarm", "status", *two_doors, check=False).returncode == 2
    refused = authority.run("swarm", "status", "--data-root", str(w1.data_root), check=False)
    assert (refused.returncode, "expected a manager's certificate" in refused.stderr) == (3, True)


def _demote(m1: Engine, m2: Engine, authority: SwarmsecHost) -> None:
    """The manager's old certificate gets nothing from us, and is named."""
    old = authority.directory / "old"
    old.mkdir()
    files = load_node_files(m2.data_root)
    (old / "cert.pem").write_bytes((certificates_directory(m2.data_root) / "swarm-node.crt").read_bytes())
    (old / "key.pem").write_bytes(files.key_pem)
    assert post_signing_request(authority, old, {}) == "200", "as a manager it is heard"

    m1.docker("node", "demote", files.node_id)
    wait_for(lambda: m2.node_certificate().role == "swarm-worker", timeout=SETTLED_SECONDS, what="the demotion")

    named = authority.json("swarm", "status")["obsolete_manager_certificates"]
    demoted = [(item["hostname"], item["serial"]) for item in named if item["reason"] == "demoted"]
    # An engine may have asked twice while the Swarm moved: each that it got as a manager is named.
    assert ("m2", f"{files.leaf.serial_number:x}") in demoted
    assert {hostname for hostname, _ in demoted} == {"m2"}
    assert post_signing_request(authority, old, {}) == "401"


def _evict_while_it_is_down(w1: Engine, m1: Engine, wire: EngineProxy, authority: SwarmsecHost) -> None:
    """It is gone from both, and does not come back."""
    node_id = w1.node_certificate().node_id
    w1.kill()
    evict = authority.typed('swarmsec swarm evict w3 --reason "the machine was stolen"', {"w3": "w1"}, "--yes")
    assert evict.stdout.strip() == node_id
    assert "certificate" in evict.stderr, "what Docker believes until it expires is named"
    assert "w1" not in m1.node_states()
    w1.start()
    w1.wait_ready()
    _meet_an_engine_that_stops_answering(wire, authority)
    wait_for(lambda: w1.has_said("was removed from swarm"), timeout=SETTLED_SECONDS, what="the refusal")
    assert "w1" not in m1.node_states()


def _meet_an_engine_that_stops_answering(wire: EngineProxy, authority: SwarmsecHost) -> None:
    """In the middle of a command: each ends in time, says so, and leaves the Swarm as it was."""
    wire.stalls = lambda method, path: method == "POST" or path in {"/nodes", "/swarm"}
    for command, done in _run_each(authority, COMMANDS):
        assert (done.returncode, "did not answer in time" in done.stderr) == (3, True), (command, done.stderr)
    wire.stalls = lambda method, path: False
    assert authority.json("swarm", "status")["root_rotation"] is None, "nothing was begun"


def _lock(m1: Engine, wire: EngineProxy, authority: SwarmsecHost) -> None:
    """A locked manager is told to be one, and opens with the kept key; somebody else's change is kept, too."""
    _change_meanwhile(m1, wire, times=1)
    authority.typed("swarmsec swarm autolock on")
    spec = m1.swarm()["Spec"]
    assert spec["Orchestration"]["TaskHistoryRetentionLimit"] == OTHERS_LIMIT
    assert spec["EncryptionConfig"]["AutoLockManagers"] is True
    assert status_of(authority)["m1"]["state"] == "ready"
    m1.restart()
    for command, done in _run_each(authority, COMMANDS):
        assert (done.returncode, "swarm autolock unlock" in done.stderr) == (3, True), (command, done.stderr)
    there = {"tcp://m2.example.internal:2376": m1.url}
    authority.typed("swarmsec swarm autolock unlock --docker tcp://m2.example.internal:2376", there)
    wait_for(
        lambda: authority.run("swarm", "status", check=False).returncode == 0,
        timeout=SETTLED_SECONDS,
        what="the manager to lead again",
    )
    authority.typed("swarmsec swarm autolock rotate")
    shown = authority.run("swarm", "autolock", "on", "--show-key").stdout.strip()
    assert shown == m1.docker("swarm", "unlock-key", "--quiet").stdout.strip()
    _change_meanwhile(m1, wire, times=2)
    refused = authority.run("swarm", "autolock", "off", check=False)
    assert (refused.returncode, "somebody else changed" in refused.stderr) == (2, True)
    authority.typed("swarmsec swarm autolock off")


def _change_meanwhile(m1: Engine, wire: EngineProxy, *, times: int) -> None:
    """Have another tool change the Swarm between our reading and our writing, so many times."""
    limits = iter([str(OTHERS_LIMIT + number) for number in range(times)])

    def before(method: str, path: str) -> None:
        limit = next(limits, None) if (method, path) == ("POST", "/swarm/update") else None
        if limit is not None:
            m1.docker("swarm", "update", "--task-history-limit", limit)

    wire.before = before


def _meet_what_does_not_answer(worker: Engine, authority: SwarmsecHost) -> None:
    """No Docker is 3, an engine that is no manager is 2, and each says what to do."""
    nowhere = f"unix://{authority.directory}/none.sock"
    unlock = ("swarm", "autolock", "unlock")
    for docker, code in ((nowhere, 3), (worker.url, 2)):
        commands = [(*command, "--docker", docker) for command in (*COMMANDS, unlock)]
        for command, done in _run_each(authority, commands):
            assert (done.returncode, "hint:" in done.stderr) == (code, True), (command, done.stderr)


def _run_each(
    authority: SwarmsecHost, commands: Sequence[tuple[str, ...]]
) -> list[tuple[tuple[str, ...], subprocess.CompletedProcess[str]]]:
    """Run commands side by side."""
    with ThreadPoolExecutor(len(commands)) as pool:
        done = pool.map(lambda command: authority.run(*command, check=False), commands)
        return list(zip(commands, done, strict=True))


@pytest.mark.timeout(900)
def test_an_adoption_that_everything_interrupts_is_taken_up(engines: StartEngines, authority: SwarmsecHost) -> None:
    m1, m2, w1 = engines("m1", "m2", "w1")
    form_swarm(m1, (m2, "manager"), (w1, "worker"))
    start_authority(authority)
    work = begin(authority, "swarm", "adopt", "--docker", m1.url, "--url", authority.url, "--yes")
    wait_moving(m1, work, authority, "the rotation to begin")

    work.send_signal(signal.SIGKILL)
    work.wait()
    authority.kill()
    m1.kill()
    m1.start()
    m1.wait_ready()
    authority.serve()
    adopt(authority, m1.url)

    root = root_of(authority)
    m1.wait_for_nodes("m1", "m2", "w1")
    for engine in (m1, m2, w1):
        verify_with_openssl(root, engine)
    assert {node["source"] for node in status_of(authority).values()} == {"issued"}
    lines = authority.run("audit", "log", "--action", "swarm.adopt").stdout.splitlines()[1:]
    assert [line.split("\t")[4] for line in lines] == ["intent", "intent", "success"]
    _verify_released_and_adopted_again(m1, [m1, m2, w1], authority)


def _verify_released_and_adopted_again(m1: Engine, every: list[Engine], authority: SwarmsecHost) -> None:
    """Killed in the middle too, the release ends with a root of Docker's own, and the Swarm can come back."""
    before = tasks(every)
    by_hand = m1.docker("swarm", "ca", "--rotate", "--quiet", check=False)
    assert "unable to generate a cross-signed certificate" in by_hand.stderr
    assert "nothing was changed" in authority.typed("swarmsec swarm release --dry-run").stderr
    work = begin(authority, "swarm", "release", "--yes")
    wait_moving(m1, work, authority, "the release to begin")
    work.send_signal(signal.SIGKILL)
    work.wait()
    authority.typed("swarmsec swarm release", {}, "--yes")

    swarm = m1.swarm()
    assert (swarm["RootRotationInProgress"], swarm["Spec"]["CAConfig"].get("ExternalCAs")) == (False, None)
    assert swarm["TLSInfo"]["TrustRoot"] != root_of(authority).read_text()
    assert {node["source"] for node in status_of(authority).values()} == {"none"}
    there = {"/var/run/docker/swarm/control.sock": str(m1.control_socket), "/var/lib/docker": str(m1.data_root)}
    for line in (
        "swarmsec swarm status --control-socket /var/run/docker/swarm/control.sock",
        "swarmsec swarm status --data-root /var/lib/docker",
    ):
        asking = partial(_is_told_by_the_swarm, every, authority, line, there)
        wait_for(asking, timeout=SETTLED_SECONDS, what="the Swarm to tell the certificates that the nodes have")
    adopt(authority, m1.url)
    assert tasks(every) == before
    assert {node["source"] for node in status_of(authority).values()} == {"issued"}
    authority.run("audit", "verify")


def _is_told_by_the_swarm(every: list[Engine], authority: SwarmsecHost, line: str, there: dict[str, str]) -> bool:
    """Whether the control API's certificate of each node is the one in the node's own file.

    A node that asked twice while the Swarm moved may have the second one a moment before or after the Swarm tells it.
    """
    shown = authority.typed(line, there).stdout
    rows = {row[0]: row for row in (line.split("\t") for line in shown.splitlines())}
    told = {name: (rows[name][3], rows[name][5], rows[name][6]) for name in (engine.host.name for engine in every)}
    return told == {engine.host.name: _certificate_in_a_row(engine) for engine in every}


def _certificate_in_a_row(engine: Engine) -> tuple[str, str, str]:
    leaf = engine.node_certificate().leaf
    return leaf.not_valid_after_utc.strftime("%Y-%m-%d"), f"{leaf.serial_number:x}"[:12], "swarm"
