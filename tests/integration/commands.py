"""Run swarmsec commands as processes of their own, cheaply, and kill them at a chosen system call.

One process imports the program once; each command is a fork of it, so that a run costs what the command itself costs.
A command to be killed waits until strace holds it; strace then sends SIGKILL as the chosen call is entered, before it
takes effect. The calls of the C library inside SQLite are met like our own.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from tests.peers.errors import PeerProblem

SOAK: Final = bool(os.environ.get("SWARMSEC_SOAK"))
DURABLE_CALLS: Final = ("fsync", "fdatasync", "rename", "link", "unlink", "ftruncate", "mkdir")
"""What moves a file or makes it last."""
WRITING_CALLS: Final = (*DURABLE_CALLS, "pwrite64", "write")
"""Those, and what fills files."""
SWEPT_CALLS: Final = WRITING_CALLS if SOAK else DURABLE_CALLS
"""Where a sweep kills: in a short run where it matters most, in a long one wherever it could."""
_PRELOADED: Final = (
    "swarmsec.cli.access",
    "swarmsec.cli.ca",
    "swarmsec.cli.policy",
    "swarmsec.cli.keys",
    "swarmsec.cli.root",
    "swarmsec.cli.unlock",
    "swarmsec.services.access.apply_policy",
    "swarmsec.services.ca.init_authority",
    "swarmsec.services.access.manage_access",
    "swarmsec.services.nodes.standing_tokens",
    "swarmsec.storage.checking",
    "swarmsec.wiring.homes.creating",
    "swarmsec.wiring.homes.home",
    "swarmsec.wiring.nodes.identityfiles",
    "alembic.command",
    "alembic.runtime.migration",
    "pyrage",
    "ca.errors",
    "policies.errors",
    "yaml",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended; a negative status is the signal that killed it, as in ``subprocess``."""

    status: int
    stdout: str
    stderr: str

    def verify(self, status: int) -> Self:
        """Itself, if it ended with this status and without a traceback."""
        assert self.status == status, self
        assert "Traceback" not in self.stderr, self
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """Where to kill: on entering the ``at``-th (from 1) call of this name."""

    call: str
    at: int


class Commands:
    """Runs commands with one set of environment variables.

    Args:
        environment: replaces the inherited one.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._scratch = Path(tempfile.mkdtemp(prefix="ss-commands-"))
        self._server = subprocess.Popen(
            [sys.executable, "-c", f"from {__name__} import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait(10)
        self._server.stdout.close()
        shutil.rmtree(self._scratch)

    def run(self, *argv: str, state: Path, kill: Kill | None = None) -> Ended:
        """Run ``swarmsec argv`` with ``SWARMSEC_STATE=state`` and wait for its end."""
        return self._run(argv, state, strace=_injection(kill) if kill else [])

    def count_calls(self, *argv: str, state: Path, calls: Sequence[str]) -> tuple[Ended, Counter[str]]:
        """Run it and count its calls by name."""
        log = self._scratch / "calls"
        ended = self._run(argv, state, strace=["-o", str(log), "-e", f"trace={','.join(calls)}"])
        return ended, Counter(line.partition("(")[0] for line in log.read_text().splitlines() if "(" in line)

    def order_of_calls(self, *argv: str, state: Path, calls: Sequence[str]) -> list[str]:
        """Run it and return its calls in order, descriptors with their paths, as strace writes them."""
        log = self._scratch / "calls"
        self._run(argv, state, strace=["-y", "-o", str(log), "-e", f"trace={','.join(calls)}"]).verify(0)
        return log.read_text().splitlines()

    def start(self, *argv: str, state: Path) -> Callable[[], Ended]:
        """Start it; calling what is returned waits for its end."""
        return self._start(argv, state, strace=[])

    def _run(self, argv: Sequence[str], state: Path, *, strace: Sequence[str]) -> Ended:
        return self._start(argv, state, strace=strace)()

    def _start(self, argv: Sequence[str], state: Path, *, strace: Sequence[str]) -> Callable[[], Ended]:
        out, err = self._scratch / "out", self._scratch / "err"
        request = {
            "argv": list(argv),
            "environment": {"SWARMSEC_STATE": str(state)},
            "out": str(out),
            "err": str(err),
            "strace": list(strace),
        }
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(request).encode() + b"\n")
        self._server.stdin.flush()
        answers = self._server.stdout

        def end() -> Ended:
            answer = answers.readline()
            if not answer:
                raise PeerProblem("the process that commands are forked from ended")
            return Ended(status=int(answer), stdout=out.read_text(), stderr=err.read_text())

        return end


def _injection(kill: Kill) -> list[str]:
    return ["-o", os.devnull, "-e", f"trace={kill.call}", "-e", f"inject={kill.call}:signal=SIGKILL:when={kill.at}"]


def serve() -> None:
    """The process that commands are forked from: a request per line in, an exit status per line out."""
    os.umask(0o077)
    for module in _PRELOADED:
        importlib.import_module(module)
    for line in sys.stdin.buffer:
        status = _run_forked(json.loads(line))
        sys.stdout.write(f"{status}\n")
        sys.stdout.flush()


def _run_forked(request: dict[str, Any]) -> int:
    gate, opener = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(opener)
        os.read(gate, 1)
        _become_command(request)
    os.close(gate)
    with _traced(child, request["strace"]):
        os.close(opener)
        _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _become_command(request: dict[str, Any]) -> None:
    from swarmsec.cli.frame import run
    from swarmsec.cli.root import root

    os.environ.update(request["environment"])
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  # the descriptor, for as long as the process lives
    sys.argv = ["swarmsec", *request["argv"]]
    status = 70
    try:
        status = run(root)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


class _traced:  # noqa: N801  # used as a function
    """Hold a process with strace from before the body until its end; nothing where there are no arguments."""

    def __init__(self, pid: int, arguments: Sequence[str]) -> None:
        self._command = ["strace", "-p", str(pid), *arguments]
        self._wanted = bool(arguments)
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> None:
        if self._wanted:
            self._process = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True)
            _wait_attached(self._process.stderr)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.stderr is not None:
            self._process.stderr.close()
            self._process.wait(10)


def _wait_attached(output: IO[str] | None) -> None:
    line = output.readline() if output is not None else ""
    if "attached" not in line:
        raise PeerProblem(f"expected strace to attach, got {line!r}")


def kills(counted: Counter[str], *, every: int = 1) -> Sequence[Kill]:
    """Places to kill a command that makes these calls.

    Args:
        counted: its calls by name.
        every: of a long sweep, how many places to go on by; with SWARMSEC_SOAK=1 none is left out. The first place
            depends on the test's name, so that two tests of one command do not meet the same ones.
    """
    places = [Kill(call=call, at=at) for call, count in sorted(counted.items()) for at in range(1, count + 1)]
    step = 1 if SOAK else every
    return places[zlib.crc32(_test_name().encode()) % step :: step]


def _test_name() -> str:
    return os.environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0]
