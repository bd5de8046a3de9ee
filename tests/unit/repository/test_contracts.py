"""The import contracts of pyproject.toml bite.

Each case builds a skeleton of the house, every module that the contracts name and nothing in it, adds one bad import
and expects exactly the contract that forbids it to break. That the real tree keeps the contracts is `make lint`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.repository.tree import PACKAGES, ROOT, pyproject

LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")
CONTRACTS = {contract["id"]: contract["name"] for contract in pyproject()["tool"]["importlinter"]["contracts"]}


def build_skeleton(directory: Path) -> None:
    """Write every package and layer that the contracts name, empty."""
    shutil.copy(ROOT / "pyproject.toml", directory)
    layers = next(c["layers"] for c in pyproject()["tool"]["importlinter"]["contracts"] if c["id"] == "house")
    inner = re.findall(r"\w+", " ".join(layers))
    for package in [*PACKAGES, *(f"swarmsec/{name}" for name in inner)]:
        (directory / package).mkdir()
        (directory / package / "__init__.py").touch()


def broken_contracts(directory: Path) -> set[str]:
    """Run import-linter in ``directory``; return the ids of the contracts that it reports broken."""
    command = [str(LINT_IMPORTS), "--no-cache", "--no-logo"]
    ran = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    output = " ".join(ran.stdout.split())
    broken = {key for key, name in CONTRACTS.items() if f"{name} BROKEN" in output}
    assert ran.returncode == bool(broken), ran.stdout + ran.stderr
    assert all(f"{name} KEPT" in output for key, name in CONTRACTS.items() if key not in broken), output
    return broken


def test_the_empty_house_keeps_every_contract(tmp_path: Path) -> None:
    build_skeleton(tmp_path)
    assert broken_contracts(tmp_path) == set()


@pytest.mark.parametrize(
    ("package", "statement", "expected"),
    [
        ("swarmsec/services", "import swarmsec.server", "house"),
        ("swarmsec/server", "import swarmsec.storage", "house"),
        ("swarmsec/audit", "import swarmsec.secretstore", "house"),
        ("swarmsec/errors", "def f():\n    import swarmsec.cli", "house"),
        ("ca", "from swarmsec import errors", "leaves-below"),
        ("notary", "import ca", "leaves-apart"),
        ("policies", "if True:\n    from notary import x", "leaves-apart"),
        ("ca", "import time", "pure"),
        ("ca", "from os import urandom", "pure"),
        ("notary", "import urllib3.util", "pure"),
        ("policies", "from pathlib import Path", "pure"),
        ("swarmsec/audit", "from sqlalchemy import select", "pure"),
        ("swarmsec/secretstore", "import secrets", "pure"),
        ("swarmsec/services", "from sqlalchemy import select", "services-by-ports"),
    ],
)
def test_a_bad_import_breaks_its_contract(tmp_path: Path, package: str, statement: str, expected: str) -> None:
    build_skeleton(tmp_path)
    (tmp_path / package / "bad.py").write_text(statement + "\n")
    assert broken_contracts(tmp_path) == {expected}


def test_purity_is_held_through_other_modules(tmp_path: Path) -> None:
    build_skeleton(tmp_path)
    (tmp_path / "swarmsec" / "errors" / "clock.py").write_text("import time\n")
    (tmp_path / "swarmsec" / "audit" / "bad.py").write_text("import swarmsec.errors.clock\n")
    assert broken_contracts(tmp_path) == {"pure"}


def test_a_module_without_a_layer_breaks_the_house(tmp_path: Path) -> None:
    build_skeleton(tmp_path)
    (tmp_path / "swarmsec" / "utils.py").touch()
    assert broken_contracts(tmp_path) == {"house"}


def test_policies_may_read_its_bundled_documents(tmp_path: Path) -> None:
    build_skeleton(tmp_path)
    (tmp_path / "policies" / "good.py").write_text("from importlib import resources\n")
    assert broken_contracts(tmp_path) == set()
