"""Asking the operator's own program whether a new value is good, before anybody gets it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from typing import Final

from swarmsec.errors import Denied, UsageProblem
from swarmsec.secretbytes import SecretBytes

VALIDATE_SECONDS: Final = 60.0
_OURS: Final = "SWARMSEC_"


def parse_command(text: str) -> list[str]:
    """Take a command line apart as a shell would, and find its program; no shell runs it.

    Raises:
        UsageProblem: it cannot be meant, or there is no such program.
    """
    try:
        words = shlex.split(text)
    except ValueError:
        raise UsageProblem("expected --validate as a command line with its quotes closed") from None
    program = shutil.which(words[0]) if words else None
    if program is None:
        raise UsageProblem(f"expected a program for --validate, got {text!r:.80}", hint="give its whole path")
    return [program, *words[1:]]


def validate_value(command: list[str], value: SecretBytes, *, seconds: float = VALIDATE_SECONDS) -> None:
    """Run a program with a value on its standard input; nowhere else does the value stand.

    What the program says goes to our standard error; our own variables are not in its environment.

    Args:
        command: program and arguments.
        value: to be judged.
        seconds: how long it may take; it is killed then.

    Raises:
        Denied: it ended with another code than 0, or did not end.
        UsageProblem: it could not be started.
    """
    environment = {key: text for key, text in os.environ.items() if not key.startswith(_OURS)}
    try:
        done = subprocess.run(
            command, input=value.reveal(), stdout=sys.stderr.fileno(), env=environment, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        # NOTE: the exception itself must not be told; nor must the process list keep the program.
        raise Denied(f"the new value was not found good: {command[0]} did not end in {seconds:.0f} s") from None
    except OSError as error:
        raise UsageProblem(f"{command[0]} could not be started: {error.strerror}") from None
    if done.returncode != 0:
        raise Denied(
            f"the new value was not found good: {command[0]} ended with {done.returncode}",
            hint="nothing was changed; the new version was destroyed",
        )
