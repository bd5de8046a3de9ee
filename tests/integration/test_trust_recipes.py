"""The CI recipes of docs/trust.md, each run as it stands there by a shell, against a real server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from notary.reference import Digest
from swarmsec.services.ports import Transaction
from swarmsec.services.trust.ci_tokens import create_ci_token
from swarmsec.services.trust.delegate_repository import Delegation, add_delegation
from swarmsec.services.trust.init_trust import init_trust
from tests.integration.serve_world import ServedHome
from tests.integration.test_serve_trust import signed
from tests.unit.repository.tree import ROOT
from tests.unit.swarmsec.cli.layouts import make_layout
from tests.unit.swarmsec.homes import OPERATOR

REPOSITORY = "localhost/layout"
COMMAND = re.compile(r"swarmsec --server [^\n]*")
RECIPES = COMMAND.findall((ROOT / "docs/trust.md").read_text())


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHome]:
    directory = tmp_path_factory.mktemp("recipes")
    with pytest.MonkeyPatch.context() as patch, ServedHome(directory) as home:
        patch.setenv("SWARMSEC_STATE", str(directory / "state"))
        home.create()
        with home.opened() as (opened, keys):

            def begin(transaction: Transaction) -> None:
                init_trust(transaction, keys, OPERATOR)
                add_delegation(transaction, keys, OPERATOR, Delegation(repository=REPOSITORY))

            opened.store.write(begin)
        yield home.serve()


def environment(served: ServedHome, tmp_path: Path, image: str) -> dict[str, str]:
    """What a job has: the program on its path, the address, its image, the root, and a token."""
    tools = tmp_path / "bin"
    tools.mkdir()
    shim = tools / "swarmsec"
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m swarmsec "$@"\n')
    shim.chmod(0o755)
    (tmp_path / "root-ca.crt").write_bytes(served.roots)
    with served.opened() as (home, keys):
        made = home.store.write(
            lambda transaction: create_ci_token(
                transaction, keys, OPERATOR, repository=REPOSITORY, ttl=timedelta(minutes=5)
            )
        )
    return {
        **os.environ,
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "SWARMSEC_URL": f"https://localhost:{served.port}",
        "SWARMSEC_TOKEN": made.text.reveal().decode(),
        "IMAGE": image,
    }


def test_there_is_a_recipe_for_each_kind_of_ci() -> None:
    assert len(RECIPES) == 3


@pytest.mark.parametrize("number", range(len(RECIPES)))
def test_a_recipe_signs(served: ServedHome, tmp_path: Path, number: int) -> None:
    digest = make_layout(tmp_path / "layout", f"v{number}", content=f"recipe {number}")
    env = environment(served, tmp_path, f"oci:layout:v{number}")

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", RECIPES[number]],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    done = run()
    assert (done.returncode, done.stdout) == (0, f"{REPOSITORY}:v{number} {digest}\n"), done.stderr
    assert signed(served, REPOSITORY)[f"v{number}"] == Digest.parse(digest).hex
    again = run()
    assert (again.returncode, "this token was used already" in again.stderr) == (1, True)
    assert env["SWARMSEC_TOKEN"] not in done.stdout + done.stderr + again.stdout + again.stderr
