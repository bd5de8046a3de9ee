"""Start a program, wait until it serves, stop it by its process id, and make sure that nothing of it is left.

Every program leads a session of its own, writes to a log file, and is killed by the kernel when the test run itself
is killed. NOTE: the kernel ties that to the *thread* that started the process, so a thread that starts a peer has to
outlive it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from tests.peers.errors import PeerProblem

T = TypeVar("T")

POLL_SECONDS = 0.05
END_SECONDS = 60.0
"""Bound of every wait for what was killed: the kernel takes its time on a machine whose cores are all busy."""
LOG_TAIL_BYTES = 4000


def wait_for(probe: Callable[[], T | None], *, timeout: float, what: str, interval: float = POLL_SECONDS) -> T:
    """Ask until the answer is truthy.

    Args:
        probe: called every ``interval`` seconds; what it raises is not caught.
        timeout: seconds until it is given up; the probe is asked at least once.
        what: what is awaited, for the error.

    Returns:
        the first truthy answer.

    Raises:
        PeerProblem: there was none in time.
    """
    deadline = time.monotonic() + timeout
    while not (answer := probe()):
        if time.monotonic() >= deadline:
            raise PeerProblem(f"expected {what} within {timeout:g} s, last answer was {answer!r}")
        time.sleep(interval)
    return answer


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ProcessIdentity:
    """A process id with its start time in clock ticks since boot, because ids are used again (proc(5))."""

    pid: int
    started: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Process:
    """What the tests ask of ``/proc/PID/stat``; a process that only waits to be reaped is not alive."""

    identity: ProcessIdentity
    parent: int
    session: int
    is_alive: bool

    @property
    def pid(self) -> int:
        return self.identity.pid


class ManagedProcess:
    """One program in a session of its own.

    Args:
        argv: the program and its arguments.
        log: file that standard output and error are appended to.
        stop_signal: what asks the program to end.
        forks_once: the command is a wrapper such as ``unshare --fork``, and the signal is meant for its child.
        identity: further ``setpriv`` flags, to run as another user.
        environment: replaces the inherited one.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        log: Path,
        stop_signal: signal.Signals = signal.SIGTERM,
        forks_once: bool = False,
        identity: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._argv = ["setpriv", *identity, "--pdeathsig", "KILL", "--", *argv]
        self._log = log
        self._stop_signal = stop_signal
        self._forks_once = forks_once
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._said_before = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its session and process group."""
        if self._process is None:
            raise PeerProblem(f"expected {self._argv[-1]!r} to be started")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and return at once."""
        if self.is_running:
            raise PeerProblem(f"expected one start, process {self.pid} is running")
        with self._log.open("ab") as log:
            self._said_before = log.tell()
            self._process = subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )

    def wait_ready(self, probe: Callable[[], object], *, timeout: float, what: str) -> None:
        """Wait until ``probe`` answers truthy.

        Raises:
            PeerProblem: the process ended, or was not ready in time; the text ends with the tail of its log.
        """
        try:
            wait_for(lambda: probe() or not self.is_running, timeout=timeout, what=what)
        except PeerProblem as error:
            raise PeerProblem(f"{error}\n{self.log_tail()}") from None
        if not self.is_running:
            raise PeerProblem(f"expected {what}, the process ended\n{self.log_tail()}")

    def stop(self, *, grace: float = 10.0) -> None:
        """Ask it to end, and after ``grace`` seconds kill all of it. Does nothing when it never started.

        Raises:
            PeerProblem: something of it outlived even that.
        """
        if self._process is None:
            return
        family = self.family()
        self._signal_leader()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(grace)
        self._end(family)

    def kill(self) -> None:
        """Kill every process of it at once, as a power cut would, and wait until they are gone."""
        self._end(self.family())

    def family(self) -> frozenset[ProcessIdentity]:
        """The process, its descendants, and whoever is in its session although its parent has ended."""
        return family_of(self._process.pid) if self._process is not None else frozenset()

    def _end(self, family: frozenset[ProcessIdentity]) -> None:
        if self._process is None:
            return
        kill_family(family | self.family())
        self._process.wait(END_SECONDS)

    def log_tail(self) -> str:
        """The end of what it wrote."""
        if not self._log.exists():
            return ""
        return self._log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")

    def said(self) -> str:
        """All that it wrote since its last start."""
        with self._log.open("rb") as log:
            log.seek(self._said_before)
            return log.read().decode(errors="replace")

    def _signal_leader(self) -> None:
        """Signal the program itself: a database or an engine tells its own children what to do."""
        if not self.is_running:
            return
        targets = child_pids(self.pid) if self._forks_once else [self.pid]
        for pid in targets:
            _send(pid, self._stop_signal)


def child_pids(parent: int) -> list[int]:
    """Process ids of the direct children of ``parent``."""
    return [process.pid for process in _processes() if process.parent == parent]


def family_of(leader: int) -> frozenset[ProcessIdentity]:
    """The living processes that descend from ``leader`` or are in the session that it leads, itself included."""
    processes = list(_processes())
    members = {process.pid for process in processes if process.session == leader} | {leader}
    # A server's children may lead sessions of their own, as PostgreSQL's do.
    while more := {each.pid for each in processes if each.parent in members} - members:
        members |= more
    return frozenset(each.identity for each in processes if each.pid in members and each.is_alive)


def living(family: frozenset[ProcessIdentity]) -> frozenset[ProcessIdentity]:
    """Those of a family that have not ended."""
    return family & {process.identity for process in _processes() if process.is_alive}


def kill_family(family: frozenset[ProcessIdentity]) -> None:
    """Kill each of a family that still lives, and wait until all have ended.

    Raises:
        PeerProblem: some of them outlived that.
    """
    for process in living(family):
        _send(process.pid, signal.SIGKILL)
    wait_for(lambda: not living(family), timeout=END_SECONDS, what=f"processes to end: {sorted(living(family))}")


class HeldNamespace:
    """A namespace that somebody looks after, to see whether anybody is left in it.

    It is told by its inode number, which the kernel gives to the next namespace as soon as nobody uses this one: an
    engine that another test starts at that moment would then be counted here. So this keeps it open.

    Args:
        pid: a process inside.
        kind: ``pid``, ``mnt``, ``net`` …, as in ``/proc/PID/ns``.

    Raises:
        OSError: the process has ended.
    """

    def __init__(self, pid: int, kind: str) -> None:
        self._kind = kind
        self._descriptor = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
        self._inode = os.fstat(self._descriptor).st_ino

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def members(self) -> list[int]:
        """The process ids of those inside."""
        return [process.pid for process in _processes() if _namespace_inode(process.pid, self._kind) == self._inode]

    def close(self) -> None:
        """Let the kernel take it down."""
        os.close(self._descriptor)


def _namespace_inode(pid: int, kind: str) -> int | None:
    try:
        return Path("/proc", str(pid), "ns", kind).stat().st_ino
    except OSError:
        return None


def _processes() -> Iterator[_Process]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text(errors="replace")
        except OSError:
            continue
        # The command's name stands in parentheses and may itself hold spaces and parentheses.
        fields = text.rpartition(")")[2].split()
        yield _Process(
            identity=ProcessIdentity(pid=int(entry.name), started=int(fields[19])),
            parent=int(fields[1]),
            session=int(fields[3]),
            is_alive=fields[0] not in "ZX",
        )


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
