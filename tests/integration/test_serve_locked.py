"""A home sealed by a passphrase: its server waits, is unlocked by whom it should be, and by nobody else."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ca.identity import NodeRole
from swarmsec.wiring.homes.unlocking import SOCKET_NAME
from tests.integration.serve_clients import SECONDS
from tests.integration.serve_world import PASSPHRASE, ServedHome
from tests.peers.processes import wait_for

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")
ASK_FOR_ROOT = """
import socket, struct, sys
connection = socket.socket(socket.AF_UNIX)
connection.settimeout(10)
connection.connect(sys.argv[1])
try:
    connection.sendall(struct.pack(">I", 4) + b"root")
    answer = connection.recv(100)
except ConnectionError:
    answer = b""
print(len(answer))
"""


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedHome]:
    """In a directory with none above it that is another test's too: one test here opens them all to everybody."""
    with tempfile.TemporaryDirectory(prefix="ss-", dir="/tmp") as path:
        monkeypatch.setenv("SWARMSEC_STATE", f"{path}/state")
        with ServedHome(Path(path)) as made:
            yield made.create(seal="passphrase")


def _passphrase_file(home: ServedHome, text: bytes) -> str:
    path = home.directory / "passphrase"
    path.write_bytes(text)
    path.chmod(0o600)
    return str(path)


def _unlock(home: ServedHome, text: bytes) -> subprocess.CompletedProcess[str]:
    return home.run("--passphrase-file", _passphrase_file(home, text), "unlock")


def _wait_locked(home: ServedHome) -> None:
    home.launch()
    home.process.wait_ready(lambda: "locked: waiting" in home.log, timeout=SECONDS, what="the server to wait")


def _denied_openings(home: ServedHome) -> int:
    with home.opened() as (opened, _):
        entries = opened.store.read(lambda transaction: list(transaction.log_entries.since(0)))
    found = [json.loads(entry.data) for entry in entries]
    return sum(entry["action"] == "seal.open" and entry["outcome"] == "denied" for entry in found)


def test_a_server_waits_for_its_passphrase_and_gives_commands_the_key(home: ServedHome) -> None:
    _wait_locked(home)
    socket_file = home.home / SOCKET_NAME
    assert stat.S_IMODE(socket_file.stat().st_mode) == 0o600
    assert home.run("ca", "token", "worker").returncode == 3

    wrong = _unlock(home, b"not the passphrase")

    assert wrong.returncode == 1, wrong.stderr
    assert "listening" not in home.log
    assert _denied_openings(home) == 1

    assert _unlock(home, PASSPHRASE.reveal()).returncode == 0
    home.wait_listening()
    home.joined(NodeRole.WORKER)
    given = home.run("ca", "token", "worker")
    assert given.returncode == 0, given.stderr
    assert given.stdout.strip() == home.token()
    for text in (home.log, wrong.stderr):
        assert "not the passphrase" not in text
        assert PASSPHRASE.reveal().decode() not in text

    assert _unlock(home, b"not the passphrase").returncode == 1
    assert _unlock(home, PASSPHRASE.reveal()).returncode == 0

    home.stop()
    assert not socket_file.exists()
    assert home.run("ca", "token", "worker").returncode == 3


def test_a_waiting_server_can_be_stopped(home: ServedHome) -> None:
    _wait_locked(home)

    os.kill(home.process.pid, signal.SIGTERM)

    wait_for(lambda: not home.process.is_running, timeout=SECONDS, what="the server to end")
    assert "Traceback" not in home.log
    assert not (home.home / SOCKET_NAME).exists()


def test_a_socket_that_a_dead_server_left_is_no_obstacle(home: ServedHome) -> None:
    _wait_locked(home)
    home.kill()
    assert (home.home / SOCKET_NAME).exists()
    assert _unlock(home, PASSPHRASE.reveal()).returncode == 2

    _wait_locked(home)

    assert _unlock(home, PASSPHRASE.reveal()).returncode == 0
    home.wait_listening()


def test_another_user_is_refused_even_where_the_file_system_lets_them(home: ServedHome) -> None:
    _wait_locked(home)
    assert _unlock(home, PASSPHRASE.reveal()).returncode == 0
    home.wait_listening()
    path = home.home / SOCKET_NAME

    assert _ask_for_root(path, NOBODY).returncode != 0
    for place in (path, home.home, home.directory):
        place.chmod(0o777)
    assert _ask_for_root(path, NOBODY).stdout.strip() == "0"
    assert _ask_for_root(path).stdout.strip() == str(4 + len("root ") + 32)


def _ask_for_root(path: Path, wrapper: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    # The system's interpreter: another user may not be able to read ours.
    interpreter = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
    command = [*wrapper, interpreter, "-c", ASK_FOR_ROOT, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30, cwd="/")
