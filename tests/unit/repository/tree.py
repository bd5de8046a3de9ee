"""The files of the repository, as the tests of this folder look at them."""

from __future__ import annotations

import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("swarmsec", "ca", "notary", "policies")
NOT_OURS = frozenset({"dist", "build", "__pycache__"})
HIDDEN_BUT_OURS = frozenset({".ci", ".gitignore"})


@cache
def files() -> tuple[Path, ...]:
    """Every file that git tracks; in an unpacked source distribution, every file that is not a product."""
    if (ROOT / ".git").exists():
        # A clone that CI mounts may belong to another user, which git asks to be told is meant.
        command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"]
        listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        paths = [path for path in ROOT.rglob("*") if not any(map(is_product, path.relative_to(ROOT).parts))]
    return tuple(sorted(path for path in paths if path.is_file()))


def is_product(part: str) -> bool:
    """Whether a part of a path names an environment, a cache or something built."""
    return part in NOT_OURS or (part.startswith(".") and part not in HIDDEN_BUT_OURS)


@cache
def texts() -> dict[str, str]:
    """Path from the root to content of every file that people write; test vectors are data and left out."""
    found: dict[str, str] = {}
    for path in files():
        name = path.relative_to(ROOT).as_posix()
        content = path.read_bytes()
        if not name.startswith("tests/vectors/") and b"\0" not in content:
            found[name] = content.decode()
    return found


@cache
def modules() -> dict[str, str]:
    """Path from the root to source of every Python file, scripts without a suffix included."""
    return {
        name: text
        for name, text in texts().items()
        if name.endswith(".py") or text.split("\n", 1)[0].endswith("python3")
    }


@cache
def pyproject() -> dict[str, Any]:
    """The parsed pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())
