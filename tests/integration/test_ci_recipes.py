"""The recipes of docs/ci.md, step by step in a shell, against a real registry and our own server."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.integration.serve_world import ServedHome
from tests.peers.oci_layouts import LayoutWriter
from tests.peers.registry import Registry
from tests.unit.repository.tree import ROOT
from tests.unit.swarmsec.cli.program import Program

_BLOCK = re.compile(r"^```(sh|yaml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RECIPES = [body for _, body in _BLOCK.findall((ROOT / "docs/ci.md").read_text())]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """A machine that runs the steps of one recipe."""

    directory: Path
    environment: dict[str, str]

    def run(self, script: str) -> None:
        """Run one step as CI does, with what earlier steps put into ``GITHUB_ENV``."""
        kept = (self.directory / "github-env").read_text().splitlines()
        environment = {**self.environment, **dict(line.split("=", 1) for line in kept)}
        done = subprocess.run(
            ["sh", "-eu", "-c", script],
            env=environment,
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: Registry) -> Iterator[ServedHome]:
    with ServedHome(tmp_path) as home:
        monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
        home.create()
        program = Program(tmp_path, monkeypatch)
        program.good("--home", str(home.home), "trust", "init", "--yes")
        program.good("--home", str(home.home), "trust", "delegate", "add", f"{registry.host}/shop/api")
        yield home.serve()


def new_runner(served: ServedHome, registry: Registry, program: Program, reference: str) -> Runner:
    """A machine with what the page says that there is: files, variables, a token."""
    directory = served.directory / "runner"
    commands = directory / "bin"
    commands.mkdir(parents=True)
    made = program.good("--home", str(served.home), "trust", "token", "create", "--repo", f"{registry.host}/shop/api")
    token = made.out.strip()
    root = served.ask("GET", "/tuf/1.root.json").body
    (directory / "swarmsec-ca.pem").write_bytes(served.roots)
    (directory / "docker-stack.yml").write_text(f"services:\n  api:\n    image: {reference}  # ours\n")
    (directory / "event.json").write_text(json.dumps({"inputs": {"token": token}}))
    (directory / "github-env").touch()
    write_command(commands / "swarmsec", f'exec {sys.executable} -m swarmsec "$@"')
    write_command(commands / "docker", f'echo "$@" >> {directory}/docker.log')
    environment = {
        "PATH": f"{commands}:/usr/bin:/bin",
        "HOME": str(directory),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "SWARMSEC_STATE": str(directory / "state"),
        "SWARMSEC_HOME": str(directory / "nowhere"),
        "SWARMSEC_SERVER": f"https://localhost:{served.port}",
        "SWARMSEC_TOKEN": token,
        "SWARMSEC_ROOT": hashlib.sha256(root).hexdigest(),
        "IMAGE": reference,
        "GITHUB_EVENT_PATH": str(directory / "event.json"),
        "GITHUB_ENV": str(directory / "github-env"),
    }
    return Runner(directory=directory, environment=environment)


def write_command(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def steps_of(recipe: str) -> list[str]:
    """The scripts of a recipe: a shell's own, GitLab's ``script`` or GitHub's ``run``."""
    if not recipe.lstrip().startswith(("release:", "on:")):
        return [recipe]
    document = yaml.safe_load(recipe)
    if "jobs" in document:
        return [step["run"] for job in document["jobs"].values() for step in job["steps"]]
    return [line for job in document.values() for line in job["script"]]


def test_there_are_three_recipes() -> None:
    assert len(RECIPES) == 3


@pytest.mark.parametrize("number", range(3), ids=["shell", "gitlab", "github"])
def test_a_recipe_signs_verifies_and_pins(
    number: int, served: ServedHome, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = LayoutWriter(served.directory / "layout")
    layout.add("1", f"recipe {number}")
    digest = registry.push(layout.directory, "1", f"shop/api:1.{number}")
    reference = f"{registry.host}/shop/api:1.{number}"
    program = Program(served.directory, monkeypatch)
    runner = new_runner(served, registry, program, reference)
    for step in steps_of(RECIPES[number]):
        runner.run(step)
    assert f"image: {reference}@{digest}  # ours" in (runner.directory / "pinned.yml").read_text()
    assert "stack deploy --compose-file pinned.yml shop" in (runner.directory / "docker.log").read_text()
