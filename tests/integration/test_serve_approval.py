"""Managers that wait at a real server: recorded, told to wait, let in by a person, refused, taken up again."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from ca.identity import NodeRole, identity_of
from tests.integration.serve_clients import SECONDS, new_key
from tests.integration.serve_world import PROGRAM, ServedHome
from tests.peers.processes import ManagedProcess, wait_for


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHome]:
    directory = tmp_path_factory.mktemp("approval")
    with pytest.MonkeyPatch.context() as patch, ServedHome(directory) as home:
        patch.setenv("SWARMSEC_STATE", str(directory / "state"))
        yield home.create(settings="\n[ca]\nrequire_approval = true\n").serve()


def join_command(served: ServedHome, directory: Path, *further: str) -> list[str]:
    token = served.token(NodeRole.MANAGER)
    return [*PROGRAM, "node", "join", "--server", served.url, "--token", token, "--dir", str(directory), *further]


def join(served: ServedHome, directory: Path, *further: str) -> subprocess.CompletedProcess[str]:
    command = join_command(served, directory, *further)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    return done


def pending(served: ServedHome) -> dict[str, dict[str, str]]:
    return {item["node_id"]: item for item in json.loads(served.run("--json", "node", "pending").stdout)}


def test_a_manager_waits_until_it_is_approved(served: ServedHome, tmp_path: Path) -> None:
    node = tmp_path / "node"
    waiting = ManagedProcess(join_command(served, node, "--name", "m1"), log=tmp_path / "join.log")
    waiting.start()
    try:
        wait_for(lambda: "m1" in pending(served), timeout=SECONDS, what="the request to be recorded")
        item = pending(served)["m1"]
        assert json.loads(served.run("--json", "ca", "status").stdout)["waiting"] == ["m1"]
        assert "waiting       m1" in served.run("ca", "status").stdout
        wait_for(
            lambda: item["spki_sha256"] in (tmp_path / "join.log").read_text(),
            timeout=SECONDS,
            what="the node to show its fingerprint",
        )
        assert not (node / "swarm-node.crt").exists()
        approved = served.run("node", "approve", "m1", "--fingerprint", item["spki_sha256"])
        assert approved.returncode == 0, approved
        wait_for((node / "swarm-node.crt").exists, timeout=SECONDS, what="the node's certificate")
    finally:
        waiting.stop()
    identity = identity_of(x509.load_pem_x509_certificate((node / "swarm-node.crt").read_bytes()))
    assert (identity.node_id, identity.role) == ("m1", NodeRole.MANAGER)
    assert pending(served) == {}


def test_a_join_that_was_stopped_goes_on_with_the_same_key(served: ServedHome, tmp_path: Path) -> None:
    node = tmp_path / "node"
    first = join(served, node, "--wait", "0s")
    assert first.returncode == 3, first
    assert "waits for approval" in first.stderr
    assert "node approve" in first.stderr
    key = (node / "swarm-node.key").read_bytes()
    (name,) = pending(served)
    # A shell hides the interrupt from what it starts in the background, and children inherit that.
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        stopped = subprocess.Popen(join_command(served, node), stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, former)
    assert stopped.stderr is not None
    assert "waits for approval" in stopped.stderr.readline()
    stopped.send_signal(signal.SIGINT)
    stopped.communicate(timeout=SECONDS)
    assert list(pending(served)) == [name]
    assert served.run("node", "approve", name).returncode == 0

    done = join(served, node)

    assert (done.returncode, done.stdout) == (0, f"{name}\n"), done
    assert (node / "swarm-node.key").read_bytes() == key


def test_a_denied_manager_is_told_so(served: ServedHome, tmp_path: Path) -> None:
    assert join(served, tmp_path / "node", "--wait", "0s", "--name", "m2").returncode == 3
    assert served.run("node", "deny", "m2", "--reason", "nobody knows it").returncode == 0

    done = join(served, tmp_path / "node")

    assert done.returncode == 1
    assert "was denied" in done.stderr
    assert served.run("node", "approve", "m2").returncode == 2


def test_workers_do_not_wait_and_the_answer_to_a_manager_says_when_to_ask(served: ServedHome) -> None:
    assert served.join(served.token())[0].status == 200
    key = new_key()
    for _ in range(2):
        answer, _ = served.join(served.token(NodeRole.MANAGER), "m3", key)
        assert (answer.status, answer.json()["node_id"]) == (202, "m3")
        assert 1 <= int(answer.headers["retry-after"]) <= 300
        assert "certificate" not in answer.json()
    assert served.run("node", "deny", "m3").returncode == 0
    assert served.join(served.token(NodeRole.MANAGER), "m3", key)[0].status == 403


def test_the_flag_of_serve_holds_them_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    with ServedHome(tmp_path) as home:
        home.create().serve("--require-approval")
        assert home.join(home.token(NodeRole.MANAGER), "m1")[0].status == 202
        home.stop()
        home.serve()
        assert home.join(home.token(NodeRole.MANAGER), "m2")[0].status == 200
