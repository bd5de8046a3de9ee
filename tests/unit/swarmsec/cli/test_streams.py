"""Where output goes: full disks, readers that went away, streams that are closed; in processes of their own."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys

import pytest

from swarmsec.cli.streams import READER_GONE
from tests.unit.swarmsec.cli.program import Program

SWARMSEC = [sys.executable, "-c", "from swarmsec.cli import main; main()"]
WRITING = [
    ["--help"],
    ["audit", "log", "--json"],
    ["audit", "report", "--no-swarm", "--format", "html"],
    ["ca", "list"],
]
each_writer = pytest.mark.parametrize("arguments", WRITING, ids=" ".join)


def run(arguments: list[str], *, stdout: int) -> subprocess.CompletedProcess[bytes]:
    command = [*SWARMSEC, *arguments]
    return subprocess.run(
        command, check=False, timeout=60, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE
    )


def run_without(arguments: list[str], redirections: str) -> subprocess.CompletedProcess[bytes]:
    command = ["sh", "-c", f'"$@" {redirections}', "sh", *SWARMSEC, *arguments]
    return subprocess.run(command, check=False, timeout=60, capture_output=True)


@each_writer
def test_a_reader_that_went_away_ends_a_command_without_a_word(program: Program, arguments: list[str]) -> None:
    assert program.home.is_dir()
    reading, writing = os.pipe()
    os.close(reading)
    ran = run(arguments, stdout=writing)
    os.close(writing)
    assert (ran.returncode, ran.stderr.splitlines()[1:]) == (READER_GONE, []), ran.stderr
    assert not ran.stderr.startswith((b"error", b"Traceback")), ran.stderr


@each_writer
def test_a_full_disk_behind_stdout_is_told_and_is_no_success(program: Program, arguments: list[str]) -> None:
    assert program.home.is_dir()
    full = os.open("/dev/full", os.O_WRONLY)
    ran = run(arguments, stdout=full)
    os.close(full)
    assert (ran.returncode, b"No space left on device" in ran.stderr) == (3, True), ran.stderr
    assert b"Traceback" not in ran.stderr


@pytest.mark.parametrize("redirections", ["2>/dev/full", "2>&-", "<&- >&- 2>&-"])
def test_talk_that_nobody_can_take_changes_no_answer(program: Program, redirections: str) -> None:
    assert program.home.is_dir()
    assert run_without(["ca", "show", "nobody"], redirections).returncode == 2


def test_a_closed_stdout_is_told_and_given_to_no_other_file(program: Program) -> None:
    assert program.home.is_dir()
    ran = run_without(["ca", "export"], ">&-")
    assert (ran.returncode, b"Bad file descriptor" in ran.stderr) == (3, True), ran.stderr
    assert program.good("audit", "verify", "--json").document["ok"] is True


def test_a_closed_stdin_holds_no_value(program: Program) -> None:
    assert program.home.is_dir()
    ran = run_without(["secrets", "create", "team/db"], "<&-")
    assert (ran.returncode, b"got 0" in ran.stderr) == (2, True), ran.stderr


def test_what_is_decided_before_the_reader_went_away_is_on_record(program: Program) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ran = run(["ca", "token", "create", "--role", "worker"], stdout=writing)
    os.close(writing)
    assert ran.returncode == READER_GONE
    assert len(program.good("ca", "token", "list", "--json").document) == 1


def test_following_ends_with_its_reader_though_nothing_new_comes(program: Program) -> None:
    assert program.home.is_dir()
    following = subprocess.Popen(
        [*SWARMSEC, "audit", "log", "--follow"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert following.stdout is not None
    assert following.stdout.readline().startswith(b"SEQ")
    following.stdout.close()
    assert following.wait(timeout=60) == READER_GONE
    assert following.stderr is not None
    assert following.stderr.read() == b""
    following.stderr.close()


def test_a_stream_that_another_process_let_not_wait_is_waited_for(program: Program) -> None:
    for number in range(40):
        program.good("access", "add", f"somebody-{number}", "--role", "auditor", "--out", f"out-{number}")
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writing, False)
    with subprocess.Popen([*SWARMSEC, "audit", "log", "--json"], stdout=writing, stderr=subprocess.PIPE) as logging:
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            lines = pipe.read().splitlines()
        assert logging.wait(timeout=60) == 0, logging.stderr
    assert [json.loads(line)["seq"] for line in lines] == list(range(len(lines)))
    assert sum(map(len, lines)) > 8192


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
    ids=["xterm", "no-color", "dumb"],
)
def test_a_terminal_gets_the_colours_that_its_owner_wants(
    program: Program, environment: dict[str, str], coloured: bool
) -> None:
    assert program.home.is_dir()
    terminal, inner = os.openpty()
    given = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "TERM"}} | environment
    subprocess.run([*SWARMSEC, "ca", "show", "nobody"], env=given, stderr=inner, check=False, timeout=60)
    shown = os.read(terminal, 4096)
    os.close(inner)
    os.close(terminal)
    assert b"no certificate of a node" in shown
    assert (b"\x1b[" in shown) is coloured
