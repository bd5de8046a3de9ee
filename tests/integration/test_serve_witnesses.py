"""A running server has its log cosigned by itself: by a real witness beside it, and past one that never answers."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ca.identity import NodeRole
from swarmsec.services.log.witness_log import witnessed_sizes
from tests.integration.serve_clients import SECONDS
from tests.integration.serve_world import ServedHome
from tests.peers import tlog_checker
from tests.peers.processes import ManagedProcess, wait_for


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedHome]:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    with ServedHome(tmp_path) as home:
        yield home.create(settings="[audit]\nwitness_seconds = 1\n")


def good(home: ServedHome, *words: str) -> str:
    done = home.run(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def witness(home: ServedHome, key: str) -> Iterator[str]:
    """A witness that watches the log and serves, and its address."""
    there = home.directory / "witness"
    good(home, "audit", "witness", "init", "--dir", str(there), "--name", "w.example/served")
    good(home, "audit", "witness", "watch", "--dir", str(there), key)
    log = home.directory / "witness.log"
    command = [sys.executable, "-m", "swarmsec", "audit", "witness", "serve", "--dir", str(there)]
    process = ManagedProcess([*command, "--listen", "127.0.0.1:0"], log=log)
    process.start()
    try:
        process.wait_ready(lambda: "listening on " in log.read_text(), timeout=SECONDS, what="the witness to listen")
        yield log.read_text().partition("listening on ")[2].split()[0]
    finally:
        process.stop(grace=10)


def test_a_server_keeps_its_log_cosigned(served: ServedHome) -> None:
    good(served, "access", "list")
    key = json.loads(good(served, "--json", "audit", "prove", "3", "-o", str(served.directory / "3.proof")))["log_key"]
    with witness(served, key) as url:
        vkey = served.directory / "witness/witness.vkey"
        good(served, "audit", "witness", "add", str(vkey), "--url", url)
        served.serve()

        def cosigned() -> int:
            ((_, size),) = served.read(witnessed_sizes)
            return size

        wait_for(lambda: cosigned() > 0, timeout=SECONDS, what="a first cosignature")
        before = cosigned()
        served.joined(NodeRole.WORKER, "n2")
        wait_for(lambda: cosigned() > before, timeout=SECONDS, what="the new entries cosigned")
        served.stop()
        verified = served.run("audit", "verify", "--require-witness", "1", "--witness", str(vkey))
        assert (verified.returncode, "w.example/served cosigned" in verified.stderr) == (0, True), verified.stderr
        good(served, "audit", "prove", "4", "-o", str(served.directory / "4.proof"))
    log, by = tlog_checker.Key.read(key), tlog_checker.Key.read(vkey.read_text().strip())
    note = (served.directory / "4.proof").read_bytes().partition(b"\n\n")[2]
    assert tlog_checker.checkpoint(note, log, (by,)).witnesses == ("w.example/served",)


def test_a_witness_that_never_answers_keeps_nobody_waiting(served: ServedHome) -> None:
    good(served, "audit", "witness", "init", "--dir", str(served.directory / "w"), "--name", "w.example/silent")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        good(served, "audit", "witness", "add", str(served.directory / "w/witness.vkey"), "--url", url)
        served.serve()
        silent.settimeout(SECONDS)
        asking, _ = silent.accept()
        with asking:
            # It waits for its answer now; everybody else is answered, and stopping does not wait either.
            served.joined(NodeRole.WORKER, "n2")
            assert served.ask("GET", "/readyz", served.identity("auditor")).status == 200
            served.stop()
            asking.settimeout(SECONDS)
            while asking.recv(65536):
                pass
