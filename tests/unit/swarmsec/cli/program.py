"""The program as its users run it, but in this process: arguments in, exit code and both streams out."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click.testing
import pytest

from swarmsec.cli.frame import run
from swarmsec.cli.root import root


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a run gave."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


class Program:
    """Runs commands in a directory of its own, which becomes the working directory.

    Args:
        directory: holds ``home`` and ``state``.
        patch: sets the environment for as long as the test runs.
    """

    def __init__(self, directory: Path, patch: pytest.MonkeyPatch) -> None:
        self.directory = directory
        self.home = directory / "authority"
        self._patch = patch
        patch.chdir(directory)
        patch.setenv("SWARMSEC_HOME", str(self.home))
        patch.setenv("SWARMSEC_STATE", str(directory / "state"))
        patch.setenv("COLUMNS", "100")

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Answer:
        """Run ``swarmsec`` with arguments; what nobody worded is raised, as users never shall see it."""
        self._patch.setattr(sys, "argv", ["swarmsec", *arguments])
        umask = os.umask(0o022)
        try:
            with click.testing.CliRunner().isolation(input=stdin) as (out, err, _):
                try:
                    code = run(root)
                except SystemExit as error:
                    code = int(error.code or 0)
                sys.stdout.flush()
                sys.stderr.flush()
                answer = Answer(code=code, out=out.getvalue().decode(), err=err.getvalue().decode())
        finally:
            os.umask(umask)
        assert answer.code != 70, answer.err
        assert "Traceback" not in answer.err
        return answer

    def good(self, *arguments: str, stdin: bytes = b"") -> Answer:
        """Run a command that must end with 0."""
        answer = self(*arguments, stdin=stdin)
        assert answer.code == 0, answer.err
        return answer

    def write(self, name: str, text: str | bytes) -> str:
        """Write a file into the working directory and return its name."""
        data = text.encode() if isinstance(text, str) else text
        (self.directory / name).write_bytes(data)
        return name


def copied_home(template: Path, directory: Path) -> None:
    """Give a directory its own copy of a home that was made once."""
    shutil.copytree(template, directory, dirs_exist_ok=True)
