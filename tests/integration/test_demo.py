"""The demo shows what it says it shows: it ends well, leaves nothing behind, and notices a broken product.

Each run takes seconds: one way to be broken and one signal are tried, with SWARMSEC_SOAK=1 all of them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.commands import SOAK
from tests.peers.processes import wait_for
from tests.unit.repository.tree import ROOT

SECONDS = 120
WIDTH = 80

# Stands before the real program and does one thing wrong; what it does not touch runs as it is.
WRAPPER = """\
#!{python}
import os, pathlib, subprocess, sys
words = sys.argv[1:]
real = [{python!r}, "-P", "-m", "swarmsec", *words]
{mischief}
os.execv(real[0], real)
"""
FORGET_TO_REVOKE = """
if "revoke" in words:
    sys.exit(0)
"""
JOIN_UNDER_ANOTHER_ROOT = """
if "join" in words:
    done = subprocess.run(real)
    node = pathlib.Path(words[words.index("--dir") + 1])
    made = node / "other.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-new", "-key", node / "swarm-node.key", "-subj", "/CN=x", "-out", made], check=True
    )
    made.rename(node / "swarm-node.crt")
    sys.exit(done.returncode)
"""
CALL_EVERYTHING_WHOLE = """
if "verify" in words:
    print('{"entries": 1, "ok": true}')
    sys.exit(0)
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Variables that let the demo make its files below ``tmp_path/tmp`` alone."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    return {**os.environ, "TMPDIR": str(temporary), "SWARMSEC_HOME": str(tmp_path / "not-this-home")}


def _command(*arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / "scripts/demo"), *arguments]


def _run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _command(*arguments), env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )


def _left_behind(environment: dict[str, str]) -> list[str]:
    """Files below the demo's temporary directory, and processes that speak of it."""
    temporary = environment["TMPDIR"]
    return [*map(str, Path(temporary).rglob("*")), *_processes_naming(temporary)]


def _processes_naming(text: str) -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if text in line:
            yield line


def test_the_demo_ends_well_and_leaves_nothing_behind(environment: dict[str, str]) -> None:
    done = _run(environment)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert "checks good" in lines[-1]
    assert [line for line in lines if len(line) > WIDTH] == []
    assert "\033" not in done.stdout
    assert _left_behind(environment) == []
    assert not Path(environment["SWARMSEC_HOME"]).exists()


BROKEN = [
    pytest.param(JOIN_UNDER_ANOTHER_ROOT, "openssl does not verify", id="joined-under-another-root"),
    pytest.param(FORGET_TO_REVOKE, "the revoked manager", id="revocation-forgotten"),
    pytest.param(CALL_EVERYTHING_WHOLE, "expected swarmsec audit verify to end with 4, got 0", id="nothing-verified"),
]


@pytest.mark.parametrize(("mischief", "noticed"), BROKEN if SOAK else BROKEN[:1])
def test_the_demo_fails_with_a_product_that_is_broken(
    environment: dict[str, str], tmp_path: Path, mischief: str, noticed: str
) -> None:
    broken = tmp_path / "swarmsec"
    broken.write_text(WRAPPER.format(python=sys.executable, mischief=mischief))
    broken.chmod(0o755)

    done = _run(environment, "--program", str(broken))

    assert done.returncode == 1, done.stdout + done.stderr
    last = done.stdout.partition("not as expected: ")[2]
    assert noticed in last, done.stdout
    assert _left_behind(environment) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT][: 2 if SOAK else 1], ids=lambda number: number.name)
def test_the_demo_cleans_up_when_it_is_stopped(
    environment: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    output = tmp_path / "output"
    with output.open("w") as file:
        process = subprocess.Popen(_command(), env=environment, stdout=file, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: "is ready" in output.read_text(), timeout=SECONDS, what="the demo's server")
        process.send_signal(number)
        status = process.wait(SECONDS)
    finally:
        process.kill()
        process.wait()

    assert status == 130, output.read_text()
    assert "stopped" in output.read_text().splitlines()[-1]
    assert _left_behind(environment) == []
