"""``swarmsec completion``: scripts for three shells, and what they are answered with."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.unit.swarmsec.cli.program import Program


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_script_asks_the_program(homeless: Program, shell: str) -> None:
    script = homeless.good("completion", shell).out
    assert "_SWARMSEC_COMPLETE" in script
    assert f"{shell}_complete" in script


def test_bash_takes_its_script(homeless: Program) -> None:
    script = homeless.good("completion", "bash").out
    subprocess.run(["bash", "-n"], input=script, text=True, check=True, timeout=30)


def test_other_shells_are_refused(homeless: Program) -> None:
    assert homeless("completion", "tcsh").code == 2


def completions(program: Program, monkeypatch: pytest.MonkeyPatch, words: str) -> list[str]:
    """What bash would offer after ``words``."""
    monkeypatch.setenv("_SWARMSEC_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    return [line.partition(",")[2] for line in program().out.splitlines()]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("swarmsec au", ["audit"]),
        ("swarmsec audit v", ["verify"]),
        ("swarmsec policy explain ", ["image", "rotation", "secret"]),
        ("swarmsec completion ", ["bash", "zsh", "fish"]),
        ("swarmsec audit verify --js", ["--json"]),
        ("swarmsec --acc", ["--accept-rollback"]),
    ],
)
def test_commands_and_options_complete(
    homeless: Program, monkeypatch: pytest.MonkeyPatch, words: str, offered: list[str]
) -> None:
    assert completions(homeless, monkeypatch, words) == offered


def test_naming_the_groups_imports_none_of_them() -> None:
    code = (
        "import sys\n"
        "from click import Context\n"
        "from swarmsec.cli.root import root\n"
        "assert {i.value for i in root.shell_complete(Context(root), '')} >= {'access', 'audit', 'ca', 'policy'}\n"
        "loaded = [name for name in sys.modules if name.startswith(('swarmsec.cli.a', 'sqlalchemy', 'cryptography'))]\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
