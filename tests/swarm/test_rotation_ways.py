"""The ways that the rotation of an adopted Swarm can go: back from each state, on by the server alone, into a token and
out, with those of our own that follow by themselves. One Swarm takes all of them, and its service runs on.
"""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.peers.engine_proxy import EngineProxy
from tests.peers.engines import Engine, StartEngines
from tests.peers.processes import wait_for
from tests.peers.softhsm import SoftHsm
from tests.peers.swarmsec_host import SwarmsecHost
from tests.swarm.adopting import (
    SETTLED_SECONDS,
    adopt,
    begin,
    form_swarm,
    frozen,
    root_of,
    start_authority,
    tasks,
    verify_all_ours,
    verify_with_openssl,
    wait_moving,
)

END_SECONDS = 120.0


@pytest.mark.timeout(900)
def test_a_rotation_goes_back_from_where_it_can_and_on_by_itself(
    engines: StartEngines, authority: SwarmsecHost
) -> None:
    m1, m2, w1 = every = engines("m1", "m2", "w1")
    hsm = SoftHsm(authority.directory / "hsm")
    hsm.make_token("swarm")
    authority.environment |= hsm.environment
    form_swarm(m1, (m2, "manager"), (w1, "worker"))
    start_authority(authority)
    adopt(authority, m1.url)
    before = tasks(every)

    with EngineProxy(authority.directory / "wire.sock", m1.socket) as wire:
        _go_back_before_it_moves(every, wire, authority)
        agent = _enrol_an_agent(authority)
        _go_back_between_the_moves(every, hsm, authority)
        with _into_a_token(every, hsm, agent, authority):
            _out_of_it_to_an_imported_root_by_the_server_alone(every, agent, authority)
        assert tasks(every) == before, "no task was started anew"
        _evict_while_another_tool_changes_the_node(m1, m2, wire, authority)
    authority.run("audit", "verify")


def leading(authority: SwarmsecHost) -> dict[str, Any] | None:
    """What ``swarm status`` says of the rotation that leads the Swarm."""
    found: dict[str, Any] | None = authority.json("swarm", "status")["root_rotation"]
    return found


def is_at(authority: SwarmsecHost, part: str) -> bool:
    found = leading(authority)
    return found is not None and found["part"] == part


def is_turned(authority: SwarmsecHost) -> bool:
    """Whether it goes back, or is back."""
    found = leading(authority)
    return found is None or found["goes_back"] is True


def _verify_back(every: list[Engine], authority: SwarmsecHost, root: str) -> None:
    assert root_of(authority).read_text() == root == every[0].swarm()["TLSInfo"]["TrustRoot"]
    assert leading(authority) is None
    verify_all_ours(every, authority)


def _go_back_before_it_moves(every: list[Engine], wire: EngineProxy, authority: SwarmsecHost) -> None:
    """Killed before the Swarm hears of it."""
    root = root_of(authority).read_text()
    begun: list[subprocess.Popen[bytes]] = []

    def kill_it(method: str, path: str) -> None:
        if (method, path) == ("POST", "/swarm/update"):
            begun[0].kill()

    wire.before = kill_it
    # A server that goes on meanwhile does not get past the first move while a node stands still.
    with frozen(every[-1]):
        begun.append(begin(authority, "ca", "rotate", "--docker", wire.url))
        assert begun[0].wait(END_SECONDS) == -signal.SIGKILL
        wire.before = lambda method, path: None
        work = begin(authority, "ca", "rotate", "--abort")
        wait_for(lambda: is_turned(authority), timeout=SETTLED_SECONDS, what="the way to be turned")
    assert work.wait(END_SECONDS) == 0
    _verify_back(every, authority, root)


def _enrol_an_agent(authority: SwarmsecHost) -> Path:
    """One of our own, which follows by itself while it runs; it does not run yet."""
    directory = authority.directory / "agent"
    token = authority.run("ca", "token", "create", "--role", "agent", "--node-name", "m1").stdout.strip()
    authority.run("access", "enrol", "--server", authority.url, "--token", token, "--dir", str(directory))
    return directory


def _go_back_between_the_moves(every: list[Engine], hsm: SoftHsm, authority: SwarmsecHost) -> None:
    """Who does not follow is named, by the server too; another root than the chosen one is refused."""
    root = root_of(authority).read_text()
    work = begin(authority, "ca", "rotate", "--pkcs11", hsm.uri(name="first"))
    wait_for(lambda: is_at(authority, "between"), timeout=END_SECONDS, what="the first move to end")
    work.kill()
    work.wait()
    waits = "between the moves, the root's own rotation waits for agent.m1"
    wait_for(lambda: waits in authority.log, timeout=SETTLED_SECONDS, what="the server to say so")
    refused = authority.run("ca", "rotate", "--follow", "--timeout", "1s", check=False)
    assert (refused.returncode, waits in refused.stderr, "--finish-without" in refused.stderr) == (3, True, True)
    refused = authority.run("ca", "rotate", "--sealed", check=False)
    assert (refused.returncode, "and was asked to go to" in refused.stderr) == (2, True)
    refused = authority.run("swarm", "adopt", "--yes", check=False)
    assert (refused.returncode, "ca rotate --abort" in refused.stderr) == (2, True)
    authority.typed("swarmsec ca rotate --abort")
    _verify_back(every, authority, root)


@contextmanager
def _into_a_token(every: list[Engine], hsm: SoftHsm, agent: Path, authority: SwarmsecHost) -> Iterator[None]:
    """The second move waits for the agent; once it is begun there is no way back. The agent runs on."""
    w1, root = every[-1], root_of(authority).read_text()
    work = begin(authority, "ca", "rotate", "--pkcs11", hsm.uri(name="second"))
    wait_for(lambda: is_at(authority, "between"), timeout=END_SECONDS, what="the first move to end")
    renewing = ("access", "renew", "--server", authority.url, "--dir", str(agent), "--daemon", "--every", "1s")
    with frozen(w1):
        daemon = begin(authority, *renewing)
        wait_for(lambda: is_at(authority, "in"), timeout=SETTLED_SECONDS, what="the second move")
        refused = authority.run("ca", "rotate", "--abort", check=False)
        assert (refused.returncode, "the old root is given up" in refused.stderr) == (1, True)
    try:
        assert work.wait(END_SECONDS) == 0
        assert root_of(authority).read_text() != root
        assert authority.json("ca", "show")["roots"][-1]["key"].startswith("pkcs11:token=swarm;object=second")
        _verify_moved(every, agent, authority)
        yield
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait()


def _out_of_it_to_an_imported_root_by_the_server_alone(
    every: list[Engine], agent: Path, authority: SwarmsecHost
) -> None:
    """The command is killed in the first move; the server goes on, to the root that was chosen."""
    certificate, key = authority.directory / "next.pem", authority.directory / "next.key"
    _make_root(certificate, key)
    work = begin(authority, "ca", "rotate", "--import-cert", str(certificate), "--import-key", str(key))
    wait_moving(every[0], work, authority, "the first move")
    work.kill()
    work.wait()
    key.unlink()
    wait_for(lambda: leading(authority) is None, timeout=END_SECONDS, what="the server to end it")
    shown = x509.load_pem_x509_certificate(root_of(authority).read_bytes())
    assert shown == x509.load_pem_x509_certificate(certificate.read_bytes())
    assert "the Swarm's rotation is over" in authority.log
    _verify_moved(every, agent, authority)


def _verify_moved(every: list[Engine], agent: Path, authority: SwarmsecHost) -> None:
    """The Swarm's nodes and our own are under the present root, and it is the only one that each of them has."""
    verify_all_ours(every, authority)
    command = ["openssl", "verify", "-x509_strict", "-CAfile", str(root_of(authority)), str(agent / "swarmsec.crt")]
    subprocess.run(command, check=True, capture_output=True)


def _make_root(certificate: Path, key: Path) -> None:
    """As somebody makes one with openssl."""
    extensions = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", "/CN=swarm-ca", "-days", "3650", "-out", str(certificate), "-keyout", str(key)]
    # Without the machine's own configuration, which adds extensions.
    config = certificate.with_suffix(".cnf")
    lines = ("[req]", "distinguished_name=dn", "x509_extensions=ext", "[dn]", "[ext]", *extensions)
    config.write_text("\n".join([*lines, "subjectKeyIdentifier=hash", ""]))
    subprocess.run([*command, "-config", str(config)], check=True, capture_output=True)
    key.chmod(0o600)


def _evict_while_another_tool_changes_the_node(
    m1: Engine, m2: Engine, wire: EngineProxy, authority: SwarmsecHost
) -> None:
    """Changed once between our reading and our writing, it is read again and the change is kept; twice, it is told."""
    node_id = m2.node_certificate().node_id
    seen: list[dict[str, Any]] = []

    def change(times: int) -> None:
        labels = iter([f"changed={number}" for number in range(times)])

        def before(method: str, path: str) -> None:
            if (method, path) == ("POST", f"/nodes/{node_id}/update") and (label := next(labels, "")):
                m1.docker("node", "update", "--label-add", label, node_id)
            if method == "DELETE":
                seen.extend(json.loads(m1.docker("node", "inspect", node_id).stdout))

        wire.before = before

    evict = ("swarm", "evict", node_id, "--yes", "--docker", wire.url)
    change(2)
    refused = authority.run(*evict, check=False)
    assert (refused.returncode, "somebody else changed" in refused.stderr) == (2, True)
    change(1)
    authority.run(*evict)
    assert (seen[0]["Spec"]["Role"], seen[0]["Spec"]["Labels"]) == ("worker", {"changed": "0"})
    assert "m2" not in m1.node_states()
    verify_with_openssl(root_of(authority), m1)
