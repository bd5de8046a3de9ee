"""The secret driver as a peer of an engine: a process beside it that Docker finds by its socket."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from tests.peers.engines import Engine
from tests.peers.processes import ManagedProcess
from tests.peers.swarmsec_host import PROGRAM, SwarmsecHost

START_SECONDS = 90.0


class DriverProcess:
    """``swarmsec driver`` for one engine.

    Args:
        authority: whose home it works on, or whose server it asks.
        engine: that asks it.
        name: what Docker calls it.
        is_remote: enrol it on the engine's host and have it ask the server, which must be running.
    """

    def __init__(
        self, authority: SwarmsecHost, engine: Engine, name: str = "swarmsec", *, is_remote: bool = False
    ) -> None:
        self.log_path = authority.directory / f"driver-{engine.host.name}.log"
        self.socket = engine.plugins / f"{name}.sock"
        options = ("driver", "--name", name, "--socket", str(self.socket), "--docker", engine.url)
        command = [*PROGRAM, "--home", str(authority.home), *options]
        if is_remote:
            self.identity = authority.directory / f"identity-{engine.host.name}"
            self._enrol(authority, engine)
            # On the engine's host, for the server is nowhere else.
            asking = [*PROGRAM, "--server", authority.url, "--identity", str(self.identity), *options]
            command = engine.host.command(asking)
        self.process = ManagedProcess(command, log=self.log_path, environment=authority.environment)

    def _enrol(self, authority: SwarmsecHost, engine: Engine) -> None:
        token = authority.run("ca", "token", "create", "--role", "driver", "--node-name", engine.host.name).stdout
        enrol = ("access", "enrol", "--server", authority.url, "--dir", str(self.identity), "--token", token.strip())
        engine.host.run([*PROGRAM, *enrol], check=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            print(self.log, file=sys.stderr)
        self.stop()

    @property
    def log(self) -> str:
        """What it said so far."""
        return self.log_path.read_text() if self.log_path.exists() else ""

    def start(self) -> None:
        """Start it and wait until Docker may ask."""
        said = self.log.count("driver ready")
        self.process.start()
        self.process.wait_ready(
            lambda: self.log.count("driver ready") > said, timeout=START_SECONDS, what="the driver to be ready"
        )

    def stop(self) -> None:
        """Stop it."""
        self.process.stop(grace=10)

    def kill(self) -> None:
        """Kill it."""
        self.process.kill()
