"""The driver's own way to the manager: the same objects, one kept connection, and an end to every wait."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from swarmsec.docker.socket_reader import SocketReader
from swarmsec.errors import NotFound, SwarmsecError, Unavailable, UsageProblem
from swarmsec.services.secrets.service_records import ServiceState, TaskState
from tests.peers.one_service_manager import NODE, SERVICE
from tests.peers.processes import wait_for


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ss-", dir="/tmp") as path:
        yield Path(path)


def is_answering(path: Path) -> bool:
    """Whether somebody listens: a socket is there before that."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


@pytest.fixture
def manager(directory: Path) -> Iterator[str]:
    path = directory / "manager.sock"
    with subprocess.Popen([sys.executable, "-m", "tests.peers.one_service_manager", str(path)]) as process:
        wait_for(lambda: is_answering(path), timeout=60, what="the manager")
        yield str(path)
        process.kill()


def test_objects_are_read_over_one_connection_which_may_end_meanwhile(manager: str) -> None:
    reader = SocketReader(manager, 30.0)
    found = [task for task in reader.find_tasks({"t1", "t2"}).values() if isinstance(task, TaskState)]
    assert {(task.id, task.service_id) for task in found} == {("t1", SERVICE), ("t2", SERVICE)}
    service = reader.find_services({SERVICE})[SERVICE]
    assert isinstance(service, ServiceState)
    assert (service.name, reader.hostname(NODE)) == ("shop_api", "m1")
    assert reader.find_services({"idshop"}) == {}, "the beginning of an id is no id"
    kept = reader._kept
    assert kept is not None
    kept.sock.shutdown(socket.SHUT_RDWR)
    assert list(reader.find_tasks({"t3"})) == ["t3"]
    with pytest.raises(NotFound, match="knows no node other"):
        reader.hostname("other")
    reader.close()


@pytest.mark.parametrize("name", ["", "../x", "a/b", "x" * 65, "a?b", "ü"])
def test_what_is_no_id_is_not_asked_for(name: str) -> None:
    with pytest.raises(UsageProblem):
        SocketReader("/nowhere", 1.0).find_tasks({"t1", name})
    with pytest.raises(UsageProblem):
        SocketReader("/nowhere", 1.0).hostname(name)


def test_nobody_there_is_said() -> None:
    with pytest.raises(Unavailable, match="is away"):
        SocketReader("/nowhere/at/all", 1.0).find_tasks({"t1"})


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "in time|away"),
        (b"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n", "HTTP status 503"),
        (b"HTTP/1.1 200 x\r\nContent-Length: 1\r\n\r\n{", "expected JSON"),
        (b"HTTP/1.1 200 x\r\nContent-Length: 2\r\n\r\n{}", "expected a list"),
        (b"HTTP/1.1 200 x\r\nContent-Length: 9000000\r\n\r\n" + b" " * 9_000_000, "expected at most"),
        (b"no http at all\r\n\r\n", "away"),
    ],
)
def test_whatever_else_answers_ends_in_a_reason(answer: bytes, reason: str, directory: Path) -> None:
    path = str(directory / "other.sock")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()

        def serve() -> None:
            with listening.accept()[0] as peer:
                peer.recv(4096)
                with suppress(ConnectionError):
                    # Whoever reads may have had enough.
                    peer.sendall(answer)
                if not answer:
                    ended.wait(10)

        ended = threading.Event()
        thread = threading.Thread(target=serve)
        thread.start()
        reader = SocketReader(path, 30.0 if answer else 0.3)
        try:
            with pytest.raises(SwarmsecError, match=reason):
                reader.find_tasks({"t1"})
        finally:
            reader.close()
            ended.set()
            thread.join()
