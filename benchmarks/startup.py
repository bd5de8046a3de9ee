"""What starting costs, in processor time of whole processes, beside a bare interpreter that imports what is needed.

Processor time rather than wall time, because the machines are shared.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.measure import Figure, measure_pairs

AIM = 1.5
RUNS = 3
PROGRAM = ("-c", "from swarmsec.cli import main; main()")


def run() -> list[Figure]:
    """Measure ``--help`` and ``ca token worker``."""
    with tempfile.TemporaryDirectory(prefix="swarmsec-bench-") as name:
        environment = installed(Path(name))
        home = Path(name) / "home"
        _run(["--home", str(home), "-q", "ca", "init", "--recovery-out", str(Path(name) / "recovery.key")], environment)
        token = ["--home", str(home), "ca", "token", "worker"]
        return [
            _compare("swarmsec --help", "python importing click", ["--help"], "import click", environment),
            compare_start("ca token worker", "python importing what it uses", token, environment),
        ]


def installed(directory: Path) -> dict[str, str]:
    """The environment of a program that is installed: its modules are compiled already, whatever this shell says.

    Args:
        directory: for its home, its state and the compiled modules.
    """
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    compiled = {"PYTHONPYCACHEPREFIX": str(directory / "compiled")}
    places = {"SWARMSEC_STATE": str(directory / "state"), "SWARMSEC_HOME": str(directory / "home")}
    return {**inherited, **compiled, **places}


def compare_start(name: str, peer: str, arguments: Sequence[str], environment: Mapping[str, str]) -> Figure:
    """Compare a command with an interpreter that imports the third-party modules which the command imports."""
    return _compare(name, peer, arguments, _imports_of(arguments, environment), environment)


def _compare(name: str, peer: str, arguments: Sequence[str], imports: str, environment: Mapping[str, str]) -> Figure:
    return measure_pairs(
        name,
        peer,
        "ms of processor time",
        ours=lambda: _cost(lambda: _run(arguments, environment)),
        theirs=lambda: _cost(lambda: _python(["-c", imports], environment)),
        aim=AIM,
        at_least=False,
        rounds=11,
    )


def _cost(action: Callable[[], None]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(RUNS):
        action()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent * 1000 / RUNS


def _run(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    _python([*PROGRAM, *arguments], environment)


def _python(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    subprocess.run([sys.executable, *arguments], env=environment, check=True, capture_output=True)


def _imports_of(arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """The imports of third-party packages that a command makes, as a program; our own modules are not among them."""
    watch = (
        "import sys, atexit\n"
        "atexit.register(lambda: print(*sorted(sys.modules), file=sys.stderr))\n"
        f"sys.argv = ['swarmsec', *{list(arguments)!r}]\n"
        "from swarmsec.cli import main\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", watch], env=environment, check=True, capture_output=True, text=True)
    own = ("swarmsec", "ca", "notary", "policies")
    loaded = [name for name in done.stderr.split() if name.partition(".")[0] not in own]
    lines = [
        f"try:\n import {name}\nexcept Exception:\n pass" for name in loaded if name.isascii() and "__" not in name
    ]
    return "\n".join(lines)
