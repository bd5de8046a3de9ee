"""The home of a call is in the commands that its answer names."""

from __future__ import annotations

import shlex

import pytest

from swarmsec.cli.hints import at_this_home, next_step
from swarmsec.errors import Description, Kind
from tests.unit.swarmsec.cli.program import Program


@pytest.mark.parametrize(
    ("text", "arguments", "wanted"),
    [
        ("see: swarmsec ca list", ["ca", "show"], "see: swarmsec ca list"),
        ("see: swarmsec ca list", ["--home", "a b", "ca"], "see: swarmsec --home 'a b' ca list"),
        (
            "see: swarmsec ca list; or: swarmsec serve",
            ["--home=h"],
            r"see: swarmsec --home h ca list; or: swarmsec --home h serve",
        ),
        ("see: swarmsec ca list", ["--home", r"\1"], r"see: swarmsec --home '\1' ca list"),
        ("see: swarmsec --home x ca init", ["--home", "h"], "see: swarmsec --home x ca init"),
        ("elsewhere: swarmsec node join --dir DIR", ["--home", "h"], "elsewhere: swarmsec node join --dir DIR"),
        ("no swarmsec home", ["--home", "h"], "no swarmsec home"),
        ("see: swarmsec ca list", ["ca", "--home"], "see: swarmsec ca list"),
    ],
)
def test_the_home_is_named_where_one_was(text: str, arguments: list[str], wanted: str) -> None:
    assert at_this_home(text, arguments) == wanted


def test_a_hint_is_run_as_it_is_printed(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SWARMSEC_HOME")
    answer = program("--home", str(program.home), "ca", "show", "nobody")
    command = answer.err.splitlines()[-1].partition("swarmsec ")[2]
    assert program.good(*shlex.split(command)).out.startswith("NODE")
    document = program("--home", str(program.home), "ca", "show", "nobody", "--json").document
    assert command in document["error"]["hint"]


@pytest.mark.parametrize("kind", Kind)
def test_an_error_of_any_kind_says_what_to_do_next(kind: Kind) -> None:
    silent = Description(kind=kind, text="no", hint=None)
    assert len(next_step(silent, "swarmsec ca show", []).split()) >= 3
    telling = Description(kind=kind, text="no", hint="list them with: swarmsec ca list")
    assert next_step(telling, "swarmsec ca show", ["--home", "h"]) == "list them with: swarmsec --home h ca list"


def test_the_steps_of_one_kind_do_not_serve_another() -> None:
    steps = [next_step(Description(kind=kind, text="no", hint=None), "swarmsec", []) for kind in Kind]
    assert len(set(steps)) >= len(Kind) - 1, "usage and defects alone have the same step: the command's help"
