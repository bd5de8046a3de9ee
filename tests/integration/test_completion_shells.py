"""bash, zsh and fish complete what is typed, each by the script that the program prints for it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
TYPED = {
    "swarmsec aud": "swarmsec audit",
    "swarmsec audit ver": "swarmsec audit verify",
    "swarmsec audit verify --js": "swarmsec audit verify --json",
    "swarmsec ca token create --role dr": "swarmsec ca token create --role driver",
}
"""A line before and after Tab: a group, a command, an option and a value."""
BEGIN_OF_LINE, TAB = "\x01", "\t"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Of a user who has nothing set up, and the program on their path."""
    return {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(tmp_path), "TERM": "dumb", "LANG": "C.UTF-8"}


@pytest.fixture
def script(request: pytest.FixtureRequest, environment: dict[str, str], tmp_path: Path) -> Path:
    """The script of the shell that the test is of."""
    shell = request.param
    path = tmp_path / f"swarmsec.{shell}"
    printed = subprocess.run(["swarmsec", "completion", shell], env=environment, capture_output=True, check=True)
    path.write_bytes(printed.stdout)
    return path


class Typing:
    """Somebody at an interactive shell."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self._shown = ""

    def type(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def shown(self, pattern: str) -> str:
        """Wait until a line shows this, and give the first group of it; what was shown so far is past."""
        while (found := re.search(pattern, self._shown)) is None:
            data = os.read(self._terminal, 65536).decode(errors="replace")
            assert data, self._shown
            self._shown += data
        self._shown = self._shown[found.end() :]
        return found[1]


@contextmanager
def at_shell(command: list[str], environment: Mapping[str, str]) -> Iterator[Typing]:
    terminal, inner = os.openpty()
    shell = subprocess.Popen(["setsid", "--ctty", *command], env=environment, stdin=inner, stdout=inner, stderr=inner)
    os.close(inner)
    try:
        yield Typing(terminal)
    finally:
        shell.kill()
        shell.wait()
        os.close(terminal)


@pytest.mark.parametrize(
    ("command", "setup", "script"),
    [
        (["bash", "--norc", "--noprofile", "-i"], "", "bash"),
        (["zsh", "-f", "-i"], "autoload -Uz compinit && compinit -u -D; ", "zsh"),
    ],
    indirect=["script"],
    ids=["bash", "zsh"],
)
def test_tab_completes_a_line(command: list[str], setup: str, script: Path, environment: dict[str, str]) -> None:
    with at_shell(command, environment) as typing:
        typing.type(f"{setup}. {shlex.quote(str(script))}; echo rea''dy=$?=\n")
        assert typing.shown(r"ready=(\d+)=") == "0"
        for typed, completed in TYPED.items():
            # What Tab made of the line is printed by the shell itself, as an argument each.
            typing.type(f"{typed}{TAB}{BEGIN_OF_LINE}printf '<%s>' do''ne \n")
            words = typing.shown(r"<done>((?:<[^>]*>)+)")
            assert words == "".join(f"<{word}>" for word in completed.split())


@pytest.mark.parametrize("script", ["fish"], indirect=True)
def test_fish_offers_what_a_line_can_become(script: Path, environment: dict[str, str]) -> None:
    for typed, completed in TYPED.items():
        asked = f"source {shlex.quote(str(script))}; complete --do-complete {shlex.quote(typed)}"
        offered = subprocess.run(
            ["fish", "--no-config", "--command", asked], env=environment, capture_output=True, text=True, check=True
        ).stdout
        assert [line.partition("\t")[0] for line in offered.splitlines()] == [completed.split()[-1]]
