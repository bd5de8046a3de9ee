"""What the examples of ``swarmsec audit`` take for granted."""

from __future__ import annotations

from collections.abc import Callable

from tests.unit.docs.examples import Example
from tests.unit.swarmsec.cli.program import Program

NAME = "witness.example.internal/ci"


def a_proof(program: Program, example: Example) -> None:
    """A proof file and the log's key beside it."""
    key = program.good("audit", "prove", "3", "--json").document["log_key"]
    program.write("log.vkey", f"{key}\n")


def an_export(program: Program, example: Example) -> None:
    """An exported log with its key beside, and a witness that does not watch it yet."""
    program.good("audit", "export", "-o", "evidence")
    program.write("log.vkey", (program.directory / "evidence/log.vkey").read_bytes())
    program.good("audit", "witness", "init", "--dir", "witness", "--name", NAME)
    program.write("witness.vkey", (program.directory / "witness/witness.vkey").read_bytes())


def a_watched_log(program: Program, example: Example) -> None:
    """A witness that watches the log and counts."""
    an_export(program, example)
    program.good("audit", "witness", "watch", "--dir", "witness", "log.vkey")
    program.good("audit", "witness", "add", "witness.vkey")
    if "accept" in example.words:
        answer = program.good("audit", "witness", "cosign", "--dir", "witness", "--from", "evidence")
        program.write("cosigned.txt", answer.out)


WORLDS: dict[tuple[str, ...], Callable[[Program, Example], None]] = {
    ("audit", "check"): a_proof,
    ("audit", "witness", "watch"): an_export,
    ("audit", "witness", "add"): an_export,
    ("audit", "witness", "show"): a_watched_log,
    ("audit", "witness", "cosign"): a_watched_log,
    ("audit", "witness", "accept"): a_watched_log,
    ("audit", "witness", "remove"): a_watched_log,
}
