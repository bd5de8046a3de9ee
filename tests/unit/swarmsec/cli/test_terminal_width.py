"""On a terminal of 80 columns no line of a table is longer; seen on a real one."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import subprocess
import termios

import pytest

from tests.unit.swarmsec.cli.program import Program
from tests.unit.swarmsec.cli.test_streams import SWARMSEC

COLUMNS = 80
STEERING = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
TABLES = [
    ["audit", "log"],
    ["secrets", "events"],
    ["secrets", "list"],
    ["secrets", "versions", "team/application/database-password"],
    ["ca", "list"],
    ["ca", "status"],
    ["ca", "token", "list"],
    ["access", "list"],
    ["policy", "list"],
    ["keys", "list"],
]


def on_terminal(arguments: list[str]) -> tuple[int, list[bytes]]:
    """The exit code of a command, and the lines that it writes on a terminal of 80 columns."""
    terminal, inner = os.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    given = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    command = subprocess.Popen([*SWARMSEC, *arguments], env={**given, "TERM": "xterm"}, stdout=inner, stderr=inner)
    os.close(inner)
    shown = bytearray()
    while data := _read(terminal):
        shown += data
    os.close(terminal)
    return command.wait(timeout=60), STEERING.sub(b"", shown).splitlines()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""  # nobody has the other end any more


@pytest.fixture
def used(program: Program) -> Program:
    """A home with something in every table."""
    program.good("access", "add", "a-person-with-a-long-name", "--role", "operator", "--out", "alice")
    program.good("access", "revoke", "a-person-with-a-long-name", "--reason", "left the company for good, " * 9)
    program.good("ca", "token", "create", "--role", "agent", "--node-name", "n" * 60)
    program.good("secrets", "create", "team/application/database-password", "--generate")
    program.good("secrets", "put", "team/application/database-password", "--generate")
    return program


def test_no_line_is_longer_than_the_terminal(used: Program) -> None:
    assert used.home.is_dir()
    for arguments in TABLES:
        code, lines = on_terminal(arguments)
        assert (arguments, code) == (arguments, 0), lines
        assert lines, arguments
        assert [line.decode() for line in lines if len(line.decode()) > COLUMNS] == [], arguments
