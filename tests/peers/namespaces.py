"""A private site: hosts that reach each other over a bridge of their own, and nothing else.

Each host is a network namespace with ``lo`` and one address in 10.77.0.0/24; the bridge lives in a namespace too, so
nothing of the site is seen in the machine's own network, and any number of sites can stand side by side. There is no
default route: what a peer tries to reach outside fails at once and not after a timeout.

Programs enter with ``nsenter --net``. NOTE: not with ``ip netns exec``, which mounts a fresh ``/sys`` and so hides
the control groups without which a Docker Engine refuses to start.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.peers import control_groups, run_names
from tests.peers.errors import PeerProblem

NETWORK_PREFIX = "10.77.0."
MOST_HOSTS = 250
NAMESPACES = Path("/run/netns")

_HOST_NAME = re.compile(r"[a-z][a-z0-9-]{0,15}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One network namespace of a site: its short name, the namespace's name, and its IPv4 address."""

    name: str
    namespace: str
    address: str

    def command(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs ``argv`` on this host."""
        return ["nsenter", f"--net={NAMESPACES / self.namespace}", "--", *argv]

    def run(self, argv: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        """Run ``argv`` on this host to its end; options as of ``subprocess.run``, output is captured as text."""
        defaults: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 60, "check": False}
        return subprocess.run(self.command(argv), **(defaults | options))

    def popen(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start ``argv`` on this host; options as of ``subprocess.Popen``. The caller stops it."""
        return subprocess.Popen(self.command(argv), **options)


class Site:
    """A bridge and its hosts; leaving the context removes all of them."""

    def __init__(self) -> None:
        self._prefix = run_names.new_prefix()
        self._bridge = self._prefix + "bridge"
        self._hosts: dict[str, Host] = {}

    def __enter__(self) -> Self:
        if os.geteuid() != 0:
            raise PeerProblem(f"expected root to make network namespaces, got user id {os.geteuid()}")
        remove_abandoned_namespaces()
        control_groups.remove_abandoned()
        try:
            self._add_bridge()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def namespaces(self) -> list[str]:
        """Names of the namespaces that exist for this site."""
        return [name for name in _existing_namespaces() if name.startswith(self._prefix)]

    def add_host(self, name: str) -> Host:
        """Make a host that every other host of the site reaches.

        Args:
            name: 1 to 16 lower-case letters, digits and dashes, new in this site, not ``bridge``.
        """
        if not _HOST_NAME.fullmatch(name) or name == "bridge" or name in self._hosts:
            raise PeerProblem(f"expected a new short host name, got {name!r}")
        number = len(self._hosts) + 1
        if number > MOST_HOSTS:
            raise PeerProblem(f"expected at most {MOST_HOSTS} hosts in one site")
        host = Host(name=name, namespace=self._prefix + name, address=f"{NETWORK_PREFIX}{number}")
        self._hosts[name] = host
        self._wire(host, port=f"port{number}")
        return host

    def close(self) -> None:
        """Remove the site's namespaces, and with them its interfaces."""
        for namespace in self.namespaces:
            _ip("netns", "delete", namespace)

    def _add_bridge(self) -> None:
        _ip("netns", "add", self._bridge)
        _ip("-n", self._bridge, "link", "set", "lo", "up")
        _ip("-n", self._bridge, "link", "add", "bridge", "type", "bridge")
        _ip("-n", self._bridge, "link", "set", "bridge", "up")

    def _wire(self, host: Host, *, port: str) -> None:
        inside = host.namespace
        _ip("netns", "add", inside)
        _ip("-n", inside, "link", "set", "lo", "up")
        # Both ends are born inside their namespaces, so their names cannot meet others of the machine.
        _ip("link", "add", port, "netns", self._bridge, "type", "veth", "peer", "name", "eth0", "netns", inside)
        _ip("-n", self._bridge, "link", "set", port, "master", "bridge", "up")
        _ip("-n", inside, "address", "add", f"{host.address}/24", "dev", "eth0")
        _ip("-n", inside, "link", "set", "eth0", "up")


def remove_abandoned_namespaces() -> None:
    """Remove namespaces of test runs that were killed before they could."""
    for name in _existing_namespaces():
        if run_names.is_abandoned(name):
            _delete_namespace(name)


def _delete_namespace(name: str) -> None:
    try:
        _ip("netns", "delete", name)
    except PeerProblem:
        # Another test run may have removed the same one.
        if name in _existing_namespaces():
            raise


def _existing_namespaces() -> list[str]:
    return sorted(entry.name for entry in NAMESPACES.iterdir()) if NAMESPACES.is_dir() else []


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False, timeout=120)
    if done.returncode != 0:
        raise PeerProblem(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
