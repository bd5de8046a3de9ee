"""The Makefile, the scripts and the CI entry fit together."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from tests.unit.repository.tree import ROOT, texts

MAKEFILE = (ROOT / "Makefile").read_text()
SCRIPTS = sorted(name for name in texts() if name.startswith("scripts/") or name == ".ci/run")
PHONY = set(re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[0].split())


def test_make_alone_lists_every_target() -> None:
    # Run by `make test`, this make would otherwise take over the outer one's flags.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "--silent"]
    ran = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    assert {line.split()[0] for line in ran.stdout.splitlines()} == PHONY


def test_every_listed_target_exists() -> None:
    assert set(re.findall(r"^([a-z-]+):.*##", MAKEFILE, re.MULTILINE)) == PHONY


def test_every_script_that_make_calls_exists_and_can_run() -> None:
    called = set(re.findall(r"scripts/[a-z-]+", MAKEFILE))
    assert called
    assert [name for name in sorted(called) if not os.access(ROOT / name, os.X_OK)] == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_shell_script_parses(name: str) -> None:
    shebang = texts()[name].split("\n", 1)[0]
    if shebang.endswith(("/sh", "/bash")):
        subprocess.run([shebang.removeprefix("#!"), "-n", ROOT / name], check=True)
    else:
        compile(texts()[name], name, "exec")


def test_ci_calls_the_targets_that_developers_call() -> None:
    called = set(re.findall(r"^make ([a-z-]+)", texts()[".ci/run"], re.MULTILINE))
    assert called == {"lint", "test"}


def test_every_installation_checks_hashes() -> None:
    lines = [
        line
        for name in ("Makefile", "scripts/lock-requirements")
        for line in re.sub(r"\\\n\s+", "", texts()[name]).splitlines()
        if re.search(r"(?:PIP\)|pip\") install", line)
    ]
    assert len(lines) >= 4
    assert [line for line in lines if "--require-hashes" not in line and "--no-index" not in line] == []
