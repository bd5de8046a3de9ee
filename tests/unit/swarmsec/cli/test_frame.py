"""What every command shares: where ``--json`` may stand, and how runs end."""

from __future__ import annotations

import os
import subprocess
import sys

import click
import pytest

from swarmsec.cli import frame
from tests.unit.docs.world import CASES, POLICIES
from tests.unit.swarmsec.cli.program import Program


def test_json_may_stand_before_the_group_or_at_the_end(program: Program) -> None:
    before = program.good("--json", "policy", "list")
    after = program.good("policy", "list", "--json")
    assert before.out == after.out == "[]\n"
    assert program.good("ca", "token", "worker", "--json").document["role"] == "worker"


def test_an_error_is_a_document_too(program: Program) -> None:
    answer = program("policy", "show", "TrustPolicy", "none", "--json")
    assert answer.code == 2
    assert answer.document["error"]["code"] == "not_found"
    assert answer.document["error"]["hint"] in answer.err


@pytest.mark.parametrize(
    ("arguments", "command"),
    [(["nothing"], ""), (["policy", "show"], " policy show"), (["audit", "log", "--limit", "x"], " audit log")],
)
def test_usage_errors_are_documents_too(program: Program, arguments: list[str], command: str) -> None:
    answer = program("--json", *arguments)
    assert answer.code == 2
    assert answer.document["error"]["code"] == "invalid"
    assert answer.document["error"]["message"] in answer.err
    assert answer.document["error"]["hint"] == f"see: swarmsec{command} --help"


@pytest.mark.parametrize("text", ["\udcff", "ä", "a\nb", "\u202e", "a" * 5000])
@pytest.mark.parametrize(
    "arguments",
    [
        ["access", "add", "NAME", "--role", "TEXT", "--out", "x"],
        ["access", "revoke", "TEXT"],
        ["policy", "check", "TEXT"],
        ["policy", "show", "TrustPolicy", "TEXT", "--json"],
        ["policy", "explain", "image", "TEXT"],
        ["audit", "log", "--since", "TEXT"],
        ["audit", "log", "--action", "TEXT", "--json"],
        ["--home", "TEXT", "audit", "verify"],
    ],
)
def test_whatever_an_argument_holds_is_refused_in_words(program: Program, arguments: list[str], text: str) -> None:
    assert program(*(text if word == "TEXT" else word for word in arguments)).code in {2, 3}


def test_a_terminal_of_another_encoding_gets_escapes(program: Program) -> None:
    program.good("access", "add", "alice", "--role", "operator", "--out", "alice")
    program.good("access", "revoke", "alice", "--reason", "größer")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii:strict"}
    command = [sys.executable, "-c", "from swarmsec.cli import main; main()", "audit", "log", "--limit", "1"]
    ran = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60)
    assert rb"gr\xf6\xdfer" in ran.stdout


@pytest.mark.parametrize("code", [0, 1, 4])
def test_a_command_ends_with_the_code_it_says(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    @click.command()
    @click.pass_context
    def ending(context: click.Context) -> None:
        context.exit(code)

    monkeypatch.setattr("sys.argv", ["ending"])
    assert frame.run(ending) == code


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["policy", "nothing"],
        ["--nothing"],
        ["audit", "log", "--nothing"],
        ["access", "add"],
        ["policy"],
        ["completion"],
    ],
)
def test_commands_that_do_not_exist_are_usage(homeless: Program, arguments: list[str]) -> None:
    assert homeless(*arguments).code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["access", "add", "alice", "--role", "admin", "--out", "alice"],
        ["access", "list"],
        ["access", "revoke", "alice"],
        ["policy", "apply", "p.yaml"],
        ["policy", "list"],
        ["policy", "show", "TrustPolicy", "default"],
        ["policy", "check", "p.yaml"],
        ["policy", "test", "p.yaml", "--cases", "c.yaml"],
        ["policy", "explain", "image", "nginx", "--file", "p.yaml"],
        ["audit", "log"],
        ["audit", "verify"],
        ["completion", "bash"],
    ],
    ids=" ".join,
)
def test_what_is_not_served_says_so(program: Program, arguments: list[str]) -> None:
    program.write("p.yaml", POLICIES)
    program.write("c.yaml", CASES)
    answer = program("--server", "https://localhost:8443", *arguments)
    assert (answer.code, "not served over --server" in answer.err, answer.out) == (2, True, "")
