"""A Docker daemon on TCP with our certificates: its own clients come in, and nobody else."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peers.engines import Engine
from tests.peers.namespaces import Host, Site
from tests.peers.swarmsec_host import SwarmsecHost

PORT = 2376
DOCKER = "/usr/bin/docker"
CLIENT = ("--profile", "client", "--san", "deployer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """An engine on TCP, its authority, and a host from where it is called."""

    engine: Engine
    authority: SwarmsecHost
    caller: Host

    def issue(self, authority: SwarmsecHost, name: str, *arguments: str) -> Path:
        """Issue a certificate into a directory of its own."""
        out = authority.directory / name
        authority.run("ca", "issue", *arguments, "--out", str(out))
        return out

    def docker(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Call the daemon over TCP."""
        address = f"tcp://{self.engine.address}:{PORT}"
        command = [DOCKER, "--config", str(self.authority.directory / "cli"), "--host", address, *options]
        return self.caller.run([*command, "version", "--format", "{{.Server.Version}}"])

    def verified(self, files: Path, root: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Call it as Docker's documentation says, with a directory of files."""
        return self.docker(
            "--tlsverify",
            f"--tlscacert={root or files / 'ca.pem'}",
            f"--tlscert={files / 'cert.pem'}",
            f"--tlskey={files / 'key.pem'}",
        )


@pytest.fixture
def daemon(site: Site, peer_directory: Path) -> Iterator[Daemon]:
    host = site.add_host("m1")
    with SwarmsecHost(site.add_host("ca"), peer_directory / "ca") as authority:
        authority.run("ca", "init", "--recovery-out", str(authority.directory / "recovery.key"))
        files = authority.directory / "m1"
        authority.run("ca", "issue", "--profile", "server", "--san", "m1", "--san", host.address, "--out", str(files))
        options = (
            f"--host=tcp://{host.address}:{PORT}",
            "--tlsverify",
            f"--tlscacert={files / 'ca.pem'}",
            f"--tlscert={files / 'cert.pem'}",
            f"--tlskey={files / 'key.pem'}",
        )
        with Engine(host, peer_directory / "m1", options) as engine:
            yield Daemon(engine=engine, authority=authority, caller=site.add_host("c1"))


def verify_refused(called: subprocess.CompletedProcess[str]) -> None:
    """It ended in the handshake. In TLS 1.3 the daemon's alert may be lost to the reset that follows it."""
    assert (called.returncode != 0, called.stdout.strip()) == (True, "")
    ends = ("bad certificate", "certificate required", "unknown certificate", "connection reset", "broken pipe")
    assert any(end in called.stderr for end in ends), called.stderr


def test_our_clients_come_in_and_nobody_else(daemon: Daemon, peer_directory: Path) -> None:
    deployer = daemon.issue(daemon.authority, "deployer", *CLIENT)
    root = deployer / "ca.pem"
    version = daemon.engine.docker("version", "--format", "{{.Server.Version}}").stdout.strip()
    with SwarmsecHost(daemon.authority.host, peer_directory / "other") as other:
        other.run("ca", "init", "--recovery-out", str(other.directory / "recovery.key"))
        foreign = daemon.issue(other, "deployer", *CLIENT)

    verify_refused(daemon.docker("--tlsverify", f"--tlscacert={root}"))
    verify_refused(daemon.verified(foreign, root=root))
    verify_refused(daemon.verified(daemon.issue(daemon.authority, "m2", "--profile", "server", "--san", "m2")))
    distrusted = daemon.verified(foreign)
    assert "certificate signed by unknown authority" in distrusted.stderr

    called = daemon.verified(deployer)
    assert (called.returncode, called.stdout.strip()) == (0, version), called.stderr
