"""A disk that takes a write and never answers: told within the time that was set, never waited for without end.

strace holds the sync call back, as a dead mount or a failing disk does.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ca.identity import NodeRole
from tests.integration.commands import Commands
from tests.integration.serve_clients import SECONDS, new_key
from tests.integration.serve_world import ServedHome
from tests.integration.storefixtures import Place, make_home, verify_whole
from tests.peers.processes import wait_for

HELD_US = 8_000_000
"""Beyond what a home here waits, and only so long that a test of it ends: strace lets nobody go before."""


def impatient(home: Path) -> None:
    """Let the home wait some seconds for its disk: more than one that is only busy takes."""
    path = home / "swarmsec.toml"
    path.write_text(path.read_text().replace("# disk_timeout_seconds = 30", "disk_timeout_seconds = 3"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = make_home(tmp_path / "place")
    impatient(made.home)
    return made


def held(call: str, at: int) -> list[str]:
    """Hold the ``at``-th call of a name back, and those after it."""
    inject = f"inject={call}:delay_enter={HELD_US}:when={at}+"
    return ["-o", os.devnull, "-e", f"trace={call}", "-e", inject]


@pytest.mark.parametrize(("call", "at"), [("fdatasync", 1), ("fsync", 1)])
def test_a_command_whose_disk_hangs_says_so_and_ends_with_3(place: Place, call: str, at: int) -> None:
    """``fdatasync`` is the database's, ``fsync`` the anchor's."""
    with Commands(os.environ) as commands:
        ended = commands._run(
            ("--home", str(place.home), "ca", "token", "worker", "--rotate"), place.state, strace=held(call, at)
        )
    assert ended.status == 3, ended
    assert "the log's disk does not answer: a write has taken more than 3 s" in ended.stderr
    assert "\nhint: " in ended.stderr
    if call == "fdatasync":
        assert ended.stdout == "", "nothing is answered before it is durable"
    verify_whole(place)


@contextmanager
def holding(pid: int) -> Iterator[None]:
    """Hold every sync of a process back for as long as the body runs."""
    command = ["strace", "-f", "-p", str(pid), *held("fdatasync", 1)]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert tracer.stderr is not None
        assert "attached" in tracer.stderr.readline()
        yield
    finally:
        tracer.terminate()
        tracer.wait(30)
        if tracer.stderr is not None:
            tracer.stderr.close()


def test_a_server_whose_disk_hangs_answers_so_and_goes_on_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    with ServedHome(tmp_path) as served:
        served.create()
        impatient(served.home)
        served.serve()
        token = served.token()
        with holding(served.process.pid):
            answer, _ = served.join(token, "n1", new_key())
            assert answer.status == 503, answer
            assert "the log's disk does not answer" in answer.body.decode()
            assert served.ask("GET", "/readyz").status == 503
            assert served.ask("GET", "/api/v1/ca/bundle").status == 200
        wait_for(lambda: served.status("GET", "/readyz") == 200, timeout=SECONDS, what="the server to be ready again")
        served.joined(NodeRole.WORKER, "n2")
