"""The real server under power cuts, full disks, held locks and TERM: nothing that was answered is lost."""

from __future__ import annotations

import http.client
import json
import os
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509

from ca.identity import NodeRole
from swarmsec.storage.checking import verify_store
from tests.integration.serve_clients import SECONDS, Connection, join_body, new_key
from tests.integration.serve_world import ServedHome
from tests.peers.cfssl import DockerGeneration, build_node_csr, build_sign_request
from tests.peers.processes import wait_for

CLIENTS = 16
JOINS = 200
JOIN = ("POST", "/api/v1/node/join")
SIGN = ("POST", "/api/v1/cfssl/sign")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedHome]:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    with ServedHome(tmp_path) as made:
        yield made


class Storm:
    """Clients that join without pause, each on its own connection, until the server ends it.

    Args:
        served: whom they ask.
        joins: how many times in all, unless it is over before.
    """

    def __init__(self, served: ServedHome, joins: int = JOINS) -> None:
        self._served = served
        self._joins = joins
        self._is_over = threading.Event()
        self._token = served.token()
        self._lock = threading.Lock()
        self.serials: list[str] = []
        self.statuses: list[int] = []

    @contextmanager
    def blowing(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._join_on) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            for thread in threads:
                thread.join(SECONDS)

    def wait_for_answers(self, count: int) -> None:
        wait_for(lambda: len(self.serials) >= count, timeout=SECONDS, what=f"{count} joins", interval=0.002)

    def _join_on(self) -> None:
        try:
            with self._served.connect() as connection:
                for _ in range(self._joins // CLIENTS + 1):
                    if self._is_over.is_set():
                        return
                    self._join(connection)
        except (OSError, http.client.HTTPException):
            return

    def _join(self, connection: Connection) -> None:
        answer = connection.ask(*JOIN, join_body(self._token, new_key()))
        with self._lock:
            self.statuses.append(answer.status)
            if answer.status == 200:
                pem = answer.json()["certificate"].encode()
                self.serials.append(f"{x509.load_pem_x509_certificate(pem).serial_number:x}")


def _listed(home: ServedHome) -> list[str]:
    done = home.run("--json", "ca", "list")
    assert done.returncode == 0, done.stderr
    return [item["serial"] for item in json.loads(done.stdout)]


def _actions(home: ServedHome) -> list[str]:
    with home.opened() as (opened, _):
        verify_store(opened.store)
        return opened.store.read(
            lambda transaction: [json.loads(entry.data)["action"] for entry in transaction.log_entries.since(0)]
        )


@pytest.mark.parametrize("answered", [1, 100])
def test_after_a_power_cut_every_answered_certificate_is_there(answered: int, home: ServedHome) -> None:
    home.create().serve()
    storm = Storm(home)
    with storm.blowing():
        storm.wait_for_answers(answered)
        home.kill()

    home.serve()

    listed = _listed(home)
    assert len(set(listed)) == len(listed)
    assert set(storm.serials) <= set(listed)
    home.joined(NodeRole.WORKER)
    home.stop()
    assert _actions(home)[-1] == "serve.stop"


def test_term_lets_requests_at_work_finish_and_says_so_in_the_log(home: ServedHome) -> None:
    home.create().serve()
    storm = Storm(home)
    with storm.blowing():
        storm.wait_for_answers(20)
        os.kill(home.process.pid, signal.SIGTERM)
        wait_for(lambda: not home.process.is_running, timeout=SECONDS, what="the server to end")

    assert set(storm.statuses) == {200}
    assert set(storm.serials) <= set(_listed(home))
    assert _actions(home)[-1] == "serve.stop"
    assert "Traceback" not in home.log


@contextmanager
def _small_disk(path: Path, size: str) -> Iterator[None]:
    path.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def test_a_full_disk_is_503_until_there_is_room_again(home: ServedHome, tmp_path: Path) -> None:
    with _small_disk(home.home, "6m"):
        home.create().serve()
        token, manager = home.token(), home.node(NodeRole.MANAGER, "leader")
        request = build_sign_request(
            build_node_csr(new_key()),
            node_id="w1",
            cluster_id=home.cluster_id,
            role="swarm-worker",
            generation=DockerGeneration.DOCKER_25,
        )
        assert home.join(token)[0].status == 200
        _fill(home.home / "ballast")
        statuses = [home.join(token)[0].status for _ in range(40)]
        assert statuses[-1] == 503, statuses
        assert home.status(*SIGN, manager, request) == 503
        home.wait_status(503, "GET", "/readyz")
        assert home.status("GET", "/healthz") == 200
        assert home.status("GET", "/api/v1/ca/bundle") == 200

        (home.home / "ballast").unlink()

        home.wait_status(200, "GET", "/readyz")
        assert home.join(token)[0].status == 200
        assert home.ask(*SIGN, manager, request).json()["success"] is True
        home.stop()
        assert "serve.recover" in _actions(home)


def test_without_its_anchor_nothing_more_is_written(home: ServedHome, tmp_path: Path) -> None:
    home.create().serve()
    token, auditor = home.token(), home.identity("auditor")
    state = tmp_path / "state"
    with _read_only(state):
        wait_for(lambda: home.join(token)[0].status == 503, timeout=SECONDS, what="a refused join")
        answer = home.ask("GET", "/readyz", auditor)
        assert answer.status == 503
        assert "anchor" in {check["name"] for check in answer.json()["checks"] if not check["ok"]}

    home.wait_status(200, "GET", "/readyz")
    assert home.join(token)[0].status == 200


@contextmanager
def _read_only(path: Path) -> Iterator[None]:
    subprocess.run(["mount", "--bind", str(path), str(path)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(path)], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def test_a_store_that_was_changed_by_hand_is_not_served(home: ServedHome) -> None:
    home.create().serve()
    home.joined(NodeRole.WORKER)
    home.stop()
    with sqlite3.connect(home.home / "state.db") as connection:
        connection.execute("UPDATE certificates SET role = 'admin'")
    connection.close()

    process = home.launch()

    wait_for(lambda: not process.is_running, timeout=SECONDS, what="the server to refuse")
    assert "listening" not in home.log
    assert "error:" in home.log
