"""swarmsec itself as a peer: a home with its server on a host of a site, driven through the command line alone."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.peers.errors import PeerProblem
from tests.peers.namespaces import Host
from tests.peers.processes import ManagedProcess

PROGRAM = (sys.executable, "-m", "swarmsec")
PORT = 8443
START_SECONDS = 90.0
COMMAND_SECONDS = 180.0


class SwarmsecHost:
    """One home and its server.

    Args:
        host: where the server listens.
        directory: home and state lie below it.
    """

    def __init__(self, host: Host, directory: Path) -> None:
        self.host = host
        self.directory = directory
        self.home = directory / "home"
        self.environment = {**os.environ, "SWARMSEC_STATE": str(directory / "state")}
        self._process: ManagedProcess | None = None

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The server's address."""
        return f"https://{self.host.address}:{PORT}"

    @property
    def pid(self) -> int:
        """The server's process."""
        if self._process is None:
            raise PeerProblem("expected a server that was started")
        return self._process.pid

    @property
    def log(self) -> str:
        """What the server said so far."""
        path = self.directory / "serve.log"
        return path.read_text() if path.exists() else ""

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the home, on the host."""
        command = self.host.command([*PROGRAM, "--home", str(self.home), *arguments])
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
        )
        if check and done.returncode != 0:
            raise PeerProblem(f"swarmsec {' '.join(arguments[:3])} ended with {done.returncode}: {done.stderr}")
        return done

    def kill_when_it_says(self, words: str, *arguments: str) -> None:
        """Run a command in the home and kill it once a line on its stderr has these words."""
        command = self.host.command([*PROGRAM, "--home", str(self.home), *arguments])
        with subprocess.Popen(command, env=self.environment, stderr=subprocess.PIPE, text=True) as process:
            said: list[str] = []
            for line in process.stderr or ():
                said.append(line)
                if words in line:
                    process.kill()
                    break
        if process.returncode != -signal.SIGKILL:
            raise PeerProblem(f"expected {words!r} of swarmsec {' '.join(arguments[:3])}, got {said}")

    def typed(
        self, line: str, places: Mapping[str, str] | None = None, *further: str, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command line as a page of the documentation has it, in this home.

        Args:
            line: begins with ``swarmsec``.
            places: what stands here for names of the page.
            further: put behind it, such as ``--yes`` where there is no terminal to ask on.
        """
        return self.run(*self._words(line, places or {}), *further, check=check)

    def _words(self, line: str, places: Mapping[str, str]) -> list[str]:
        program, *words = shlex.split(line)
        if program != "swarmsec":
            raise PeerProblem(f"expected a command line of swarmsec, got {line!r}")
        return [places.get(word, word) for word in (words[2:] if words[0] == "--home" else words)]

    def json(self, *arguments: str) -> Any:
        """Run a command and parse its JSON."""
        return json.loads(self.run("--json", *arguments).stdout)

    def serve(self, line: str = "") -> None:
        """Start the server and wait until it listens.

        Args:
            line: as a page has it; without it the server listens on the host's one address.
        """
        said = self.log.count("listening on ")
        process = self.launch(line)
        process.wait_ready(lambda: self.log.count("listening on ") > said, timeout=START_SECONDS, what="serve")

    def launch(self, line: str = "") -> ManagedProcess:
        """Start the server and return at once: one whose home a passphrase seals listens when it is unlocked."""
        words = self._words(line, {}) if line else ["serve", "--listen", f"{self.host.address}:{PORT}"]
        command = [*PROGRAM, "--home", str(self.home), *words]
        process = ManagedProcess(
            self.host.command(command), log=self.directory / "serve.log", environment=self.environment
        )
        process.start()
        self._process = process
        return process

    def stop(self) -> None:
        """Stop the server."""
        if self._process is not None:
            self._process.stop(grace=15)
            self._process = None

    def kill(self) -> None:
        """Kill the server as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process = None
