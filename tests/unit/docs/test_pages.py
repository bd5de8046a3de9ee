"""The pages: their sessions do what they show, their tables are those of the program."""

from __future__ import annotations

import re
import shutil
from dataclasses import fields

import pytest

from policies.access import RoleWord, load_access_table
from policies.bundled_files import bundled
from swarmsec.audit.actions import Action, Outcome
from swarmsec.cli.report import WAIVER_EXPIRED
from swarmsec.config import Config, parse_config
from swarmsec.errors import Kind, UsageProblem
from tests.unit.docs.commands import commands, resolve
from tests.unit.docs.examples import PARSED_ONLY, Example, PageFile, matches, parsed_examples, session
from tests.unit.repository.tree import ROOT
from tests.unit.swarmsec.cli.program import Program

PAGES = sorted(path.relative_to(ROOT).as_posix() for path in [ROOT / "README.md", *ROOT.glob("docs/*.md")])
_CELL = re.compile(r"(?<!\\)\|")


def page(name: str) -> str:
    """The text of a page."""
    return (ROOT / name).read_text()


def table(name: str, heading: str) -> list[list[str]]:
    """The rows of the first table under a heading, without markup around their cells."""
    under = page(name).split(f"\n{heading}\n", 1)[1]
    lines = under[under.index("\n|") + 1 :].split("\n\n", 1)[0].splitlines()
    return [[cell.strip().replace("\\|", "|").strip("`") for cell in _CELL.split(line)[1:-1]] for line in lines[2:]]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_does_what_it_shows(name: str, program: Program) -> None:
    steps = session(name, page(name))
    if any(isinstance(step, Example) and resolve(step.words) == ("ca", "init") for step in steps):
        shutil.rmtree(program.home)
    for step in steps:
        if isinstance(step, PageFile):
            program.write(step.name, step.content)
        elif resolve(step.words) not in PARSED_ONLY and not step.needs_a_shell:
            run_step(program, step)


def run_step(program: Program, step: Example) -> None:
    """Run a line of a session and hold it against what stands below it."""
    stdin = (program.directory / step.read_file).read_bytes() if step.read_file else b""
    answer = program(*step.words, stdin=stdin)
    assert answer.code == step.code, f"{step.where}: {step.text}\n{answer.err}"
    if step.written_file:
        program.write(step.written_file, answer.out)
    elif step.output:
        assert matches(step.output, answer.out + answer.err), f"{step.where}: {step.text}\n{answer.out}{answer.err}"


@pytest.mark.parametrize("name", PAGES)
def test_what_a_page_does_not_run_is_read_by_the_program(name: str) -> None:
    for example in parsed_examples(name, page(name)):
        assert resolve(example.words) in commands(), example.text


def test_every_command_is_on_its_page() -> None:
    named = {tuple(row[0].split()[1:]) for row in table("docs/cli.md", "## Commands")}
    runnable = {path for path, command in commands().items() if not hasattr(command, "commands")}
    assert named == runnable


def test_every_exit_code_is_on_its_page() -> None:
    written = [int(row[0]) for row in table("docs/cli.md", "## Exit codes")]
    assert written == sorted(written)
    assert set(written) == {0, WAIVER_EXPIRED, *(kind.exit_code for kind in Kind)}


def test_every_action_and_outcome_is_on_its_page() -> None:
    assert [row[0] for row in table("docs/audit.md", "## Actions")] == [action.value for action in Action]
    assert [row[0] for row in table("docs/audit.md", "## Outcomes")] == [outcome.value for outcome in Outcome]


def test_settings_that_a_page_shows_are_taken() -> None:
    shown = [step for name in PAGES for step in session(name, page(name)) if isinstance(step, PageFile)]
    settings = [step for step in shown if step.name.endswith(".toml")]
    assert settings
    for step in settings:
        parse_config(step.content.encode(), source=step.name)


def test_every_setting_is_on_its_page_with_its_default_and_bounds() -> None:
    shown = {}
    for section in fields(Config):
        rows = table("docs/configuration.md", f"## [{section.name}]")
        defaults = getattr(Config(), section.name)
        expected = {member.name: toml_text(getattr(defaults, member.name)) for member in fields(defaults)}
        assert {row[0]: row[1] for row in rows} == expected
        shown.update({(section.name, row[0]): row[2] for row in rows})
    for (name, setting), bounds in shown.items():
        if bounds != "–":
            low, high = (int(text.replace(",", "")) for text in bounds.split(" to "))
            verify_bounds(name, setting, low, high)


def toml_text(value: object) -> str:
    """A default as TOML has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(list(value) if isinstance(value, tuple) else value)


def verify_bounds(section: str, setting: str, low: int, high: int) -> None:
    """Hold the bounds of a setting against the parser."""

    def parse(value: int) -> object:
        return parse_config(f"format = 1\n[{section}]\n{setting} = {value}\n".encode(), source="page")

    assert parse(low)
    assert parse(high)
    for beyond in (low - 1, high + 1):
        with pytest.raises(UsageProblem, match="expected"):
            parse(beyond)


def test_every_route_is_on_its_page_with_its_roles() -> None:
    routes = load_access_table(bundled("access.yaml")).routes
    roles = list(RoleWord)
    header, *_ = (line for line in page("docs/roles.md").splitlines() if line.startswith("| route"))
    assert [cell.strip() for cell in header.split("|")[2:-1]] == [role.value for role in roles]
    shown = {row[0]: row[1:] for row in table("docs/roles.md", "## Routes")}
    marks = {
        name: ["yes" if role in entry.roles else "near" if role in entry.loopback_only else "" for role in roles]
        for name, entry in routes.items()
    }
    assert shown == marks, "\n".join(f"| {name} | {' | '.join(row)} |" for name, row in marks.items())
