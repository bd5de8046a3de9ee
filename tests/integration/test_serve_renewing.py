"""``swarmsec node renew`` against the real server, killed at every step of its writing, and as a daemon."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from ca.identity import NodeRole
from swarmsec.services.ca.revoke_certificates import revoke_certificates
from swarmsec.wiring.nodes.nodefiles import open_node_files
from tests.integration.commands import SWEPT_CALLS, Commands, kills
from tests.integration.serve_clients import SECONDS, Bearer
from tests.integration.serve_world import PROGRAM, ServedHome
from tests.peers.processes import ManagedProcess, wait_for
from tests.unit.swarmsec.homes import OPERATOR

FILES = {"swarm-node.crt", "swarm-node.key", "swarm-root-ca.crt", ".swarm-node.renewal"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHome]:
    directory = tmp_path_factory.mktemp("renewing")
    with pytest.MonkeyPatch.context() as patch, ServedHome(directory) as home:
        patch.setenv("SWARMSEC_STATE", str(directory / "state"))
        yield home.create(settings="\n[serve]\nfailed_attempts_per_minute = 100000\n").serve()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    return done


def joined(served: ServedHome, directory: Path, role: NodeRole = NodeRole.WORKER) -> Path:
    token = served.token(role)
    done = run("node", "join", "--server", served.url, "--token", token, "--dir", str(directory))
    assert done.returncode == 0, done
    return directory


def renew(served: ServedHome, directory: Path, *further: str) -> subprocess.CompletedProcess[str]:
    return run("node", "renew", "--server", served.url, "--dir", str(directory), *further)


def bearer_of(directory: Path) -> Bearer:
    pair = open_node_files(directory).pair
    file = directory.with_suffix(".pem")
    file.write_bytes((directory / "swarm-node.key").read_bytes() + (directory / "swarm-node.crt").read_bytes())
    return Bearer(key=pair.key, certificate=pair.certificate, file=file)


def statuses(served: ServedHome, node_id: str) -> list[str]:
    return served.read(lambda transaction: [str(item.status) for item in transaction.certificates.by_subject(node_id)])


@pytest.mark.parametrize("role", list(NodeRole))
def test_a_node_gets_a_new_pair_that_the_server_knows(role: NodeRole, served: ServedHome, tmp_path: Path) -> None:
    node = joined(served, tmp_path / "node", role)
    before = bearer_of(node)

    done = renew(served, node, "--json")

    assert done.returncode == 0, done
    after = open_node_files(node)
    document = json.loads(done.stdout)
    assert document.keys() == {"node_id", "role", "serial", "renewed", "not_after", "due"}
    assert (document["serial"], document["renewed"]) == (f"{after.pair.certificate.serial_number:x}", True)
    assert (document["node_id"], document["role"]) == (after.identity.node_id, role.word)
    assert after.pair.certificate.subject == before.certificate.subject
    assert after.pair.certificate.public_key() != before.certificate.public_key()
    assert {path.name for path in node.iterdir()} == FILES
    assert statuses(served, after.identity.node_id) == ["superseded", "valid"]
    if role is NodeRole.WORKER:
        assert served.ask("GET", "/api/v1/whoami", bearer_of(node)).json()["name"] == after.identity.node_id


def test_a_fresh_certificate_is_not_due(served: ServedHome, tmp_path: Path) -> None:
    node = joined(served, tmp_path / "node")
    before = (node / "swarm-node.crt").read_bytes()

    first, second = (renew(served, node, "--if-due", "--json") for _ in range(2))

    assert (first.returncode, first.stdout) == (0, second.stdout)
    assert json.loads(first.stdout)["renewed"] is False
    assert (node / "swarm-node.crt").read_bytes() == before


def test_a_revoked_node_gets_nothing(served: ServedHome, tmp_path: Path) -> None:
    node = joined(served, tmp_path / "node")
    before = bearer_of(node)
    name = open_node_files(node).identity.node_id
    served.write(lambda transaction, _: revoke_certificates(transaction, name, OPERATOR))
    served.wait_status(401, "GET", "/api/v1/whoami", before)

    done = renew(served, node)

    assert done.returncode == 1
    assert "revoked" in done.stderr
    assert open_node_files(node).pair.certificate == before.certificate


def test_another_authority_is_not_asked(served: ServedHome, tmp_path: Path) -> None:
    node = joined(served, tmp_path / "node")
    (tmp_path / "other").mkdir()
    with ServedHome(tmp_path / "other") as other:
        other.create().serve()
        done = renew(other, node)
    assert done.returncode == 1
    assert "not the expected authority" in done.stderr


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"csr": ""}', b'{"csr": "x", "node_id": "other"}', b"\xff"])
def test_a_request_that_cannot_be_meant(body: bytes, served: ServedHome, tmp_path: Path) -> None:
    node = bearer_of(joined(served, tmp_path / "node"))

    assert served.ask("POST", "/api/v1/node/renew", node, body).status == 400


def test_killed_at_any_step_a_usable_pair_is_left_and_the_next_run_finishes(served: ServedHome, tmp_path: Path) -> None:
    template = joined(served, tmp_path / "template")
    first = open_node_files(template).pair.certificate
    node = tmp_path / "node"
    arguments = ("node", "renew", "--server", served.url, "--dir", str(node))
    with Commands(os.environ) as commands:
        shutil.copytree(template, node)
        ended, calls = commands.count_calls(*arguments, state=tmp_path, calls=SWEPT_CALLS)
        ended.verify(0)
        assert sum(calls.values()) > 8
        left = set()
        for kill in kills(calls):
            shutil.rmtree(node)
            shutil.copytree(template, node)
            commands.run(*arguments, state=tmp_path, kill=kill).verify(-9)
            present = {path.name for path in node.iterdir()}
            left.add(frozenset(present & {".swarm-node.key", ".swarm-node.crt"}))
            certificate = open_node_files(node).pair.certificate
            assert served.status("GET", "/api/v1/whoami", bearer_of(node)) == 200, kill
            commands.run(*arguments, state=tmp_path).verify(0)
            after = open_node_files(node).pair.certificate
            assert after not in {first, certificate}, kill
            assert served.status("GET", "/api/v1/whoami", bearer_of(node)) == 200, kill
            assert not {path.name for path in node.iterdir()} & {".swarm-node.key", ".swarm-node.crt"}, kill
    # Before the key, with the key alone, with both, and between the two moves.
    waiting = ({".swarm-node.key"}, {".swarm-node.key", ".swarm-node.crt"}, {".swarm-node.crt"})
    assert {frozenset(), *map(frozenset, waiting)} <= left


def test_the_daemon_follows_the_roots_and_stops_when_told(served: ServedHome, tmp_path: Path) -> None:
    node = joined(served, tmp_path / "node")
    before = open_node_files(node).pair.certificate
    # A root more than the server has: what it hands out differs, so the node takes the server's.
    stranger = served.directory / "stranger"
    stranger.mkdir()
    with ServedHome(stranger) as other:
        more = other.create().roots
    (node / "swarm-root-ca.crt").write_bytes(served.roots + more)
    command = [*PROGRAM, "node", "renew", "--server", served.url, "--dir", str(node), "--daemon", "--every", "1s"]
    daemon = ManagedProcess(command, log=tmp_path / "daemon.log")
    daemon.start()
    try:
        wait_for(
            lambda: "trusts the root " in (tmp_path / "daemon.log").read_text(), timeout=SECONDS, what="the new roots"
        )
        assert (node / "swarm-root-ca.crt").read_bytes() == served.roots
        assert open_node_files(node).pair.certificate == before
    finally:
        daemon.stop(grace=15)
    assert "Traceback" not in (tmp_path / "daemon.log").read_text()
    assert isinstance(open_node_files(node).pair.certificate, x509.Certificate)
