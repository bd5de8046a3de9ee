"""What every command shares: where ``--json`` may stand, and how runs end."""

from __future__ import annotations

import click
import pytest

from swarmsec.cli import frame
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
