"""The root is rotated under a running server, and nodes follow by their own command."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ca.identity import NodeRole
from swarmsec.storage.checking import verify_store
from swarmsec.wiring.nodes.nodefiles import CERTIFICATE, ROOTS
from tests.integration.rotating_nodes import (
    ROTATE,
    bearer_of,
    chain_is_good,
    daemons,
    follow,
    join,
    roots_in,
    run,
    server_is_good,
    status_of,
    wait_ended,
    wait_phase,
    wait_roots,
)
from tests.integration.serve_clients import SECONDS, Bearer, Connection
from tests.integration.serve_world import ServedHome
from tests.peers.processes import wait_for


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedHome]:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    with ServedHome(tmp_path) as home:
        yield home.create(settings="\n[serve]\nfailed_attempts_per_minute = 100000\n").serve()


def rotated(done: subprocess.CompletedProcess[str], phase: str = "retired") -> dict[str, Any]:
    assert done.returncode == 0, done
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["phase"] == phase
    assert document["ended"]
    return document


def asked(connection: Connection) -> int | None:
    try:
        return connection.ask("GET", "/api/v1/whoami").status
    except (OSError, http.client.HTTPException):
        return None


def handshakes(served: ServedHome, auditor: Bearer) -> int:
    """How many the server has accepted, this one among them."""
    text = served.ask("GET", "/metrics", auditor).body.decode()
    name = 'swarmsec_tls_handshakes_total{result="accepted"}'
    (line,) = (line for line in text.splitlines() if line.startswith(name))
    return int(float(line.split()[-1]))


def test_a_look_of_a_node_takes_one_handshake_for_each_certificate_that_it_shows(
    served: ServedHome, tmp_path: Path
) -> None:
    node, other, auditor = join(served, tmp_path, "a"), join(served, tmp_path, "b"), served.identity("auditor")
    # It goes on without the command.
    served.run("ca", "rotate", "--timeout", "1s")
    wait_phase(served, "distributing")
    begun = handshakes(served, auditor)
    assert follow(served, node).returncode == 0
    # It took the bundle and said so.
    taken = handshakes(served, auditor) - begun - 1
    assert follow(served, other).returncode == 0
    wait_phase(served, "reissuing")
    begun = handshakes(served, auditor)
    # It asked, renewed, and came again with the new certificate.
    assert "renewed" in follow(served, node).stderr
    renewed = handshakes(served, auditor) - begun - 1
    assert follow(served, other).returncode == 0
    wait_ended(served)

    assert (taken, renewed) == (1, 2)


def test_a_daemon_waits_for_others_over_one_connection(served: ServedHome, tmp_path: Path) -> None:
    node, auditor = join(served, tmp_path, "a"), served.identity("auditor")
    join(served, tmp_path, "away")

    def looks() -> int:
        return served.log.count('"route":"node.check"')

    with daemons(served, node):
        served.run("ca", "rotate", "--timeout", "1s")
        wait_for(lambda: status_of(served).counts.get("acknowledged") == 1, timeout=SECONDS, what="the node's word")
        begun, looked = handshakes(served, auditor), looks()
        wait_for(lambda: looks() >= looked + 3, timeout=SECONDS, what="three more looks of the node")
        assert handshakes(served, auditor) == begun + 1


def test_nodes_follow_by_themselves_and_the_old_root_is_worth_nothing(served: ServedHome, tmp_path: Path) -> None:
    nodes = [join(served, tmp_path, "a"), join(served, tmp_path, "b"), join(served, tmp_path, "m", NodeRole.MANAGER)]
    old_roots, old_token, former = served.roots, served.token(), bearer_of(nodes[0])
    alice = served.identity("auditor", "alice")
    with served.connect(former) as kept, daemons(served, *nodes):
        assert kept.ask("GET", "/api/v1/whoami").status == 200

        document = rotated(served.run(*ROTATE))

        assert document["nodes"]["converged"] == 3
        assert document["issue_again"] == ["alice"]
        exported = served.run("ca", "export").stdout.encode()
        assert exported == served.roots != old_roots
        for node in nodes:
            wait_roots(node, exported)
            assert chain_is_good(node, node / ROOTS)
        # What was open under the old root is closed, and nothing of it opens again.
        assert asked(kept) in {None, 401}
    for bearer in (former, alice):
        served.wait_status(None, "GET", "/api/v1/whoami", bearer)
    assert served.name_of(bearer_of(nodes[0])) == "a"
    refused = run("node", "join", "--server", served.url, "--token", old_token, "--dir", str(tmp_path / "late"))
    assert (refused.returncode, "does not match the token" in refused.stderr) == (1, True)
    join(served, tmp_path, "new")
    shown = json.loads(served.run("ca", "show", "--json").stdout)
    assert [root["state"] for root in shown["roots"]] == ["retired", "active"]
    with served.opened() as (home, _):
        verify_store(home.store)


def test_every_chain_is_verified_by_who_trusts_the_old_root_the_new_one_or_both(
    served: ServedHome, tmp_path: Path
) -> None:
    first, second = join(served, tmp_path, "a"), join(served, tmp_path, "b")
    old, new, both = (tmp_path / f"{name}.pem" for name in ("old", "new", "both"))
    old.write_bytes(served.roots)
    assert served.run("ca", "rotate", "--detach").returncode == 0
    assert status_of(served).record.phase == "distributing"

    assert follow(served, first).returncode == 0
    both.write_bytes(roots_in(first))
    new.write_bytes(_other_than(old, both))
    assert [server_is_good(served, roots) for roots in (old, new, both)] == [True, False, True]
    assert [chain_is_good(first, roots) for roots in (old, new, both)] == [True, False, True]

    assert follow(served, second).returncode == 0
    wait_phase(served, "reissuing")
    assert [chain_is_good(second, roots) for roots in (old, new, both)] == [True, True, True]
    assert [chain_is_good(first, roots) for roots in (old, new, both)] == [True, False, True]
    wait_for(lambda: server_is_good(served, new), timeout=SECONDS, what="the server under the new root")
    assert [server_is_good(served, roots) for roots in (old, both)] == [True, True]
    late = join(served, tmp_path, "late")
    assert [chain_is_good(late, roots) for roots in (old, new, both)] == [True, True, True]
    assert len((late / CERTIFICATE).read_bytes().split(b"BEGIN")) == 3

    for node in (first, late, first, late):
        assert follow(served, node).returncode == 0
    wait_ended(served)
    wait_for(lambda: not server_is_good(served, old), timeout=SECONDS, what="the server without the old root")
    assert [server_is_good(served, roots) for roots in (new, both)] == [True, True]
    for node in (first, second, late):
        assert follow(served, node).returncode == 0
        assert roots_in(node) == served.roots == new.read_bytes()


def _other_than(old: Path, both: Path) -> bytes:
    (known,) = x509.load_pem_x509_certificates(old.read_bytes())
    (other,) = [each for each in x509.load_pem_x509_certificates(both.read_bytes()) if each != known]
    return other.public_bytes(Encoding.PEM)


def test_called_off_with_nodes_already_moved_they_come_back(served: ServedHome, tmp_path: Path) -> None:
    first, second = join(served, tmp_path, "a"), join(served, tmp_path, "b")
    roots = served.roots
    served.run("ca", "rotate", "--detach")
    for node in (first, second):
        assert follow(served, node).returncode == 0
    wait_phase(served, "reissuing")
    moved = bearer_of(second).serial

    refused = served.run("ca", "rotate", "--abort", "--timeout", "2s")
    assert (refused.returncode, "worker b" in refused.stderr) == (3, True)
    with daemons(served, first, second):
        rotated(served.run(*ROTATE, "--abort"), "aborted")
        for node in (first, second):
            wait_roots(node, roots)
    (tmp_path / "old.pem").write_bytes(roots)
    assert all(chain_is_good(node, tmp_path / "old.pem") for node in (first, second))
    assert bearer_of(second).serial != moved
    assert served.name_of(bearer_of(second)) == "b"
    with daemons(served, first, second):
        rotated(served.run(*ROTATE))


def test_without_a_server_it_waits_says_so_and_goes_on_when_one_runs(served: ServedHome, tmp_path: Path) -> None:
    node = join(served, tmp_path, "a")
    served.stop()

    waited = served.run("ca", "rotate", "--timeout", "3s")

    assert waited.returncode == 3
    for words in ("worker a", "last seen never", "certificate until", "no server runs", "--finish-without"):
        assert words in waited.stderr, waited.stderr
    served.serve()
    with daemons(served, node):
        wait_ended(served)
    document = rotated(served.run("ca", "rotate", "--follow", "--json"))
    assert (document["id"], document["joined"]) == (1, True)


def test_two_at_once_are_one_rotation(served: ServedHome, tmp_path: Path) -> None:
    node, logs = join(served, tmp_path, "a"), [tmp_path / "one.log", tmp_path / "two.log"]
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(served.run, *ROTATE, log=log) for log in logs]
        # It cannot end before the second has come, for nobody follows yet.
        wait_for(
            lambda: any("following the rotation that runs" in log.read_text() for log in logs if log.exists()),
            timeout=SECONDS,
            what="the second of two that begin",
        )
        with daemons(served, node):
            documents = [rotated(each.result()) for each in running]
    assert documents[0]["new_root"] == documents[1]["new_root"]
    assert [document["joined"] for document in documents].count(True) == 1


def test_who_never_calls_is_named_left_out_and_refused(served: ServedHome, tmp_path: Path) -> None:
    node, away = join(served, tmp_path, "a"), join(served, tmp_path, "gone", NodeRole.MANAGER)
    former = bearer_of(away)
    with daemons(served, node):
        waited = served.run("ca", "rotate", "--timeout", "4s")
        assert (waited.returncode, "manager gone" in waited.stderr) == (3, True)
        wait_for(lambda: status_of(served).counts.get("acknowledged") == 1, timeout=SECONDS, what="the other's word")
        status = json.loads(served.run("ca", "status", "--json").stdout)["rotation"]
        assert (status["phase"], status["served"]) == ("distributing", True)
        assert [blocker["node_id"] for blocker in status["blockers"] if not blocker["last_seen"]] == ["gone"]
        assert served.run("ca", "rotate", "--finish-without", "nobody").returncode == 2

        done = served.run(*ROTATE, "--finish-without", "gone")

    assert rotated(done)["left_out"] == ["gone"]
    assert "manager gone is left out" in done.stderr
    served.wait_status(None, "GET", "/api/v1/whoami", former)
    refused = follow(served, away)
    assert (refused.returncode, "joins again" in refused.stderr) == (1, True)


def test_a_node_that_is_slow_is_named_and_holds_up_nobody_else(served: ServedHome, tmp_path: Path) -> None:
    """Its request comes in halves, on several connections; the others have followed before it has spoken."""
    quick, slow = join(served, tmp_path, "a"), join(served, tmp_path, "slow")
    head = b"POST /api/v1/node/check HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with ExitStack() as stack:
        for _ in range(5):
            connection = stack.enter_context(served.connect(bearer_of(slow)))
            connection.http.sock.sendall(head + b"Content-Length: 84\r\n\r\n{")
        with daemons(served, quick):
            waited = served.run("ca", "rotate", "--timeout", "5s")
            assert (waited.returncode, "worker slow" in waited.stderr) == (3, True)
            wait_for(lambda: status_of(served).counts["acknowledged"] == 1, timeout=SECONDS, what="the quick node")
    with daemons(served, quick, slow):
        wait_ended(served)
        assert status_of(served).record.phase == "retired"
        for node in (quick, slow):
            wait_roots(node, served.roots)


def test_nobody_follows_for_another(served: ServedHome, tmp_path: Path) -> None:
    """What a node says is taken for its own certificate, and a certificate that is no node's says nothing."""
    node, other = join(served, tmp_path, "a"), join(served, tmp_path, "b")
    served.run("ca", "rotate", "--detach")
    body = json.dumps({"roots_sha256": "0" * 64}).encode()
    path = "/api/v1/node/check"

    def answer(bearer: Bearer | None, said: bytes = body) -> int | None:
        # A handshake that is under way while the server takes up the rotation is ended, and its caller asks again.
        return wait_for(lambda: served.status("POST", path, bearer, said), timeout=SECONDS, what="an answer")

    assert answer(bearer_of(node)) == 200
    assert answer(served.identity("admin")) == 403
    assert answer(None) == 403
    for wrong in (b"{}", b'{"roots_sha256": "x"}', b'{"roots_sha256": "' + b"0" * 64 + b'", "node": "b"}'):
        assert answer(bearer_of(node), wrong) == 400
    assert status_of(served).counts["pending"] == 2
    follow(served, other)
    assert {blocker.node: blocker.awaits for blocker in status_of(served).blockers} == {
        "a": "acknowledged",
        "b": "reissued",
    }
