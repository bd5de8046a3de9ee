"""The driver's signs of life to a service manager, as sd_notify(3) and ``WatchdogSec=`` have them.

The test listens where systemd would. A driver that does not say ``WATCHDOG=1`` for the whole ``WATCHDOG_USEC`` is one
that systemd kills and starts anew.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers import unix_http
from tests.peers.processes import ManagedProcess, wait_for

WATCHDOG_SECONDS = 5.0
PATIENCE = 30.0
REQUEST = {
    "SecretName": "team.app.db",
    "SecretLabels": {"io.swarmsec.name": "team/app/db"},
    "ServiceID": "idshopapi",
    "ServiceName": "shop_api",
    "TaskID": "task1",
    "NodeID": "node1",
}


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ss-", dir="/tmp") as path:
        yield Path(path)


@pytest.fixture
def supervising(directory: Path) -> Iterator[socket.socket]:
    """Where systemd would listen."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(directory / "notify"))
        listening.settimeout(PATIENCE)
        yield listening


@pytest.fixture
def hung_manager(directory: Path) -> Iterator[str]:
    """An engine whose socket takes connections and never answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(directory / "docker.sock"))
        listening.listen(64)
        yield f"unix://{directory / 'docker.sock'}"


@pytest.fixture
def driver(directory: Path, supervising: socket.socket, hung_manager: str) -> Iterator[ManagedProcess]:
    environment = {**os.environ, "SWARMSEC_STATE": str(directory / "state")}
    program = [sys.executable, "-m", "swarmsec", "--home", str(directory / "home")]
    create = ("secrets", "create", "team/app/db", "--generate", "--recovery-out", str(directory / "recovery"))
    subprocess.run([*program, *create], env=environment, check=True, capture_output=True, timeout=60)
    watched = {"NOTIFY_SOCKET": str(directory / "notify"), "WATCHDOG_USEC": str(int(WATCHDOG_SECONDS * 1e6))}
    command = [*program, "driver", "--socket", str(directory / "driver.sock"), "--docker", hung_manager]
    with ManagedProcess(command, log=directory / "driver.log", environment=environment | watched) as process:
        yield process


def wait_told(supervising: socket.socket, line: bytes) -> None:
    """Wait until the driver says this."""
    wait_for(lambda: supervising.recv(100) == line, timeout=PATIENCE, what=f"the driver to say {line!r}")


def drain(supervising: socket.socket) -> None:
    """Forget what was said so far."""
    supervising.setblocking(False)
    try:
        while supervising.recv(100):
            pass
    except BlockingIOError:
        supervising.settimeout(PATIENCE)


def is_silent(supervising: socket.socket) -> bool:
    """Whether nothing is said for as long as systemd waits."""
    drain(supervising)
    supervising.settimeout(WATCHDOG_SECONDS)
    try:
        supervising.recv(100)
    except TimeoutError:
        return True
    finally:
        supervising.settimeout(PATIENCE)
    return False


def test_a_driver_that_stands_still_falls_silent_and_one_that_refuses_does_not(
    driver: ManagedProcess, supervising: socket.socket, directory: Path
) -> None:
    wait_told(supervising, b"READY=1")
    wait_told(supervising, b"WATCHDOG=1")

    # What is behind it hangs: it refuses, and lives.
    answer = unix_http.request(directory / "driver.sock", "POST", "/SecretProvider.GetSecret", body=REQUEST)
    assert json.loads(answer.body)["Err"]
    assert not is_silent(supervising)

    os.kill(driver.pid, signal.SIGSTOP)
    try:
        wait_for(lambda: is_silent(supervising), timeout=PATIENCE, what="a driver that says nothing")
        assert is_silent(supervising)
    finally:
        os.kill(driver.pid, signal.SIGCONT)
    wait_told(supervising, b"WATCHDOG=1")

    os.kill(driver.pid, signal.SIGTERM)
    wait_told(supervising, b"STOPPING=1")
