"""A PostgreSQL server of the test run's own, from Debian's package, reached over a unix socket only.

Root may not run PostgreSQL, so as root the server runs as the user ``postgres``; otherwise as the caller. Everyone who
can open the socket's directory, which is its owner and root, is let in as the superuser ``swarmsec``.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql

from tests.peers.errors import PeerProblem
from tests.peers.processes import ManagedProcess, ProcessIdentity

SUPERUSER = "swarmsec"
INSTALLATIONS = Path("/usr/lib/postgresql")
START_SECONDS = 90.0


class PostgresServer:
    """A server that starts and ends with the context; its directory is removed at the end."""

    def __init__(self) -> None:
        self._programs = _newest_programs()
        self._identity = _unprivileged_identity()
        self._numbers = itertools.count(1)
        self.directory = Path(tempfile.mkdtemp(prefix="ss-pg-", dir="/tmp"))
        self._process = ManagedProcess(
            self._server_command(),
            log=self.directory.with_suffix(".log"),
            # SIGINT is PostgreSQL's fast shutdown: open sessions are ended, the state is clean.
            stop_signal=signal.SIGINT,
            identity=self._identity,
        )

    def __enter__(self) -> Self:
        try:
            self._initialize()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def processes(self) -> frozenset[ProcessIdentity]:
        """The server's living processes, one for each session among them."""
        return self._process.family()

    @property
    def url(self) -> str:
        """SQLAlchemy URL of the database ``postgres``."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://{SUPERUSER}@/{database}?host={self.directory}"

    def start(self) -> None:
        """Start it, again after ``stop`` or ``kill``, and wait until it answers."""
        self._process.start()
        self._process.wait_ready(self._answers, timeout=START_SECONDS, what="PostgreSQL to answer")

    def stop(self) -> None:
        """Shut it down; its data stays."""
        self._process.stop(grace=20)

    def kill(self) -> None:
        """End all of its processes at once, as a power cut would; its data stays."""
        self._process.kill()

    def close(self) -> None:
        """Shut it down and remove its data."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.with_suffix(".log").unlink(missing_ok=True)

    def create_database(self, name: str | None = None) -> str:
        """Make an empty database.

        Args:
            name: new in this server; None picks one.

        Returns:
            its SQLAlchemy URL.
        """
        chosen = name or f"test_{next(self._numbers)}"
        self._execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(chosen)))
        return self.url_of(chosen)

    def drop_database(self, url: str) -> None:
        """Remove a database that ``create_database`` made, ending its sessions."""
        name = url.partition("@/")[2].partition("?")[0]
        self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host=str(self.directory), user=SUPERUSER, dbname="postgres", autocommit=True, connect_timeout=60
        )

    def _execute(self, statement: sql.Composed) -> None:
        with self._connect() as connection:
            connection.execute(statement)

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _initialize(self) -> None:
        if self._identity:
            shutil.chown(self.directory, user="postgres", group="postgres")
        command = [
            *("setpriv", *self._identity, "--"),
            *(str(self._programs / "initdb"), "--pgdata", str(self._data), "--username", SUPERUSER),
            *("--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8", "--data-checksums", "--no-sync"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=self.directory)
        if done.returncode != 0:
            raise PeerProblem(f"initdb: {done.stderr.strip()}")

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _server_command(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.directory),
            "fsync": "on",
            "synchronous_commit": "on",
            "max_connections": "100",
        }
        flags = [flag for name, value in settings.items() for flag in ("-c", f"{name}={value}")]
        return [str(self._programs / "postgres"), "-D", str(self._data), *flags]


def _newest_programs() -> Path:
    found = [path for path in INSTALLATIONS.glob("*/bin") if (path / "postgres").exists()]
    if not found:
        raise PeerProblem("expected PostgreSQL, found none; scripts/install-test-deps installs it")
    return max(found, key=lambda path: float(path.parent.name))


def _unprivileged_identity() -> list[str]:
    if os.geteuid() != 0:
        return []
    group = pwd.getpwnam("postgres").pw_gid
    return ["--reuid=postgres", f"--regid={group}", "--clear-groups"]
