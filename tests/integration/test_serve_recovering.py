"""``swarmsec node recover`` against the real server, for a node whose certificate has really expired."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ca.identity import NodeIdentity, NodeRole
from swarmsec.services.ca.authority import Authority
from swarmsec.services.ca.issue_for_nodes import issue_for_node
from swarmsec.services.ca.issued_certificates import certificate_pem
from swarmsec.services.ports import Transaction
from swarmsec.services.records import CertificateRecord
from swarmsec.wiring.nodes.nodefiles import KEY, make_key, open_node_files, write_certificate, write_roots
from tests.integration.commands import SWEPT_CALLS, Commands, kills
from tests.integration.serve_clients import spki_of
from tests.integration.serve_world import PROGRAM, ServedHome, ShiftedClock
from tests.unit.swarmsec.homes import OPERATOR

BEFORE = ShiftedClock(timedelta(days=95))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHome]:
    directory = tmp_path_factory.mktemp("recovering")
    with pytest.MonkeyPatch.context() as patch, ServedHome(directory) as home:
        patch.setenv("SWARMSEC_STATE", str(directory / "state"))
        settings = "\n[serve]\nfailed_attempts_per_minute = 100000\n"
        yield home.create(clock=ShiftedClock(timedelta(days=96)), settings=settings).serve()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    return done


def expired(served: ServedHome, directory: Path, name: str) -> Path:
    """The directory of a node that joined long ago."""
    directory.mkdir()
    key = make_key(directory / KEY)

    def issue(transaction: Transaction, authority: Authority) -> CertificateRecord:
        identity = NodeIdentity(cluster_id=authority.cluster_id, role=NodeRole.WORKER, node_id=name)
        return issue_for_node(transaction, authority, identity, spki_of(key), OPERATOR, via="test")

    record = served.write(issue, BEFORE)
    write_roots(directory, served.roots)
    write_certificate(directory, certificate_pem(record))
    return directory


def token_for(served: ServedHome, name: str) -> str:
    done = served.run("ca", "token", "create", "--role", "recover", "--node-name", name)
    assert done.returncode == 0, done
    return done.stdout.strip()


def test_an_expired_node_is_told_the_way_and_finds_back(served: ServedHome, tmp_path: Path) -> None:
    node = expired(served, tmp_path / "node", "n1")
    where = ("--server", served.url, "--dir", str(node))

    refused = run("node", "renew", *where)
    assert refused.returncode == 1
    assert "expired at" in refused.stderr
    assert "--role recover --node-name n1" in refused.stderr

    done = run("node", "recover", *where, "--token", token_for(served, "n1"), "--json")
    assert done.returncode == 0, done
    document = json.loads(done.stdout)
    assert document.keys() == {"node_id", "role", "serial", "not_after"}
    assert (document["node_id"], document["role"]) == ("n1", "worker")
    assert run("node", "renew", *where).returncode == 0
    log = served.run("audit", "log", "--action", "node.recover").stdout
    assert "success" in log


def test_a_token_for_another_node_is_refused(served: ServedHome, tmp_path: Path) -> None:
    node, other = (expired(served, tmp_path / name, name) for name in ("n2", "n3"))
    before = (node / "swarm-node.crt").read_bytes()
    token = token_for(served, "n3")

    done = run("node", "recover", "--server", served.url, "--dir", str(node), "--token", token)

    assert done.returncode == 1
    assert "the key is none of node n3" in done.stderr
    assert (node / "swarm-node.crt").read_bytes() == before
    assert run("node", "recover", "--server", served.url, "--dir", str(other), "--token", token).returncode == 0


def test_killed_at_any_step_the_same_command_finishes(served: ServedHome, tmp_path: Path) -> None:
    template, node = expired(served, tmp_path / "template", "n4"), tmp_path / "node"
    token = token_for(served, "n4")
    arguments = ("node", "recover", "--server", served.url, "--token", token, "--dir", str(node))
    with Commands(os.environ) as commands:
        shutil.copytree(template, node)
        ended, calls = commands.count_calls(*arguments, state=tmp_path, calls=SWEPT_CALLS)
        ended.verify(0)
        assert calls
        for kill in kills(calls):
            shutil.rmtree(node)
            shutil.copytree(template, node)
            commands.run(*arguments, state=tmp_path, kill=kill).verify(-9)
            files = open_node_files(node)
            old = open_node_files(template).pair.certificate
            if files.pair.certificate == old:
                # The answer was lost, and the token is used up; the same key gets the same certificate once more.
                commands.run(*arguments, state=tmp_path).verify(0)
            assert open_node_files(node).pair.certificate != old, kill
    assert open_node_files(node).pair.certificate.public_key() == old.public_key()


@pytest.mark.parametrize("body", [b"{}", b'{"token": "x"}', b'{"token": "x", "csr": "x", "node_id": "n1"}', b"[]"])
def test_a_request_that_cannot_be_meant(body: bytes, served: ServedHome) -> None:
    assert served.ask("POST", "/api/v1/node/recover", None, body).status == 400
