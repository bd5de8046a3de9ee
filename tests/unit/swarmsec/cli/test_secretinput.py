"""Files that a command is given: regular ones, what a shell hands over, and nothing that it would wait for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.swarmsec.cli.program import Program

MAIN = f"{sys.executable} -c 'from swarmsec.cli import main; main()'"


@pytest.mark.parametrize("name", ["pipe", ".", "loop", "/dev/zero", "/proc/self/mem", "a" * 5000, "file/below", "none"])
@pytest.mark.parametrize("command", ["secrets create team/app/db --file", "policy apply", "--passphrase-file"])
def test_what_is_no_file_is_refused_and_not_waited_for(
    program: Program, tmp_path: Path, command: str, name: str
) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "loop").symlink_to("loop")
    program.write("file", "x")
    words = [*command.split(), name, *(["unlock"] if command.startswith("--") else [])]
    answer = program(*words)
    assert answer.code in {2, 3}
    assert program.good("--json", "secrets", "list").document == []


@pytest.mark.parametrize(
    "line", ["SWARMSEC --file <(sleep 0.1; printf value)", "printf value | SWARMSEC --file /dev/stdin"]
)
def test_a_value_that_a_shell_hands_over_is_taken(program: Program, line: str) -> None:
    command = line.replace("SWARMSEC", f"{MAIN} secrets create team/app/db")
    subprocess.run(["bash", "-c", command], check=True, timeout=60, env=os.environ)
    assert program.good("secrets", "reveal", "team/app/db").out == "value"
