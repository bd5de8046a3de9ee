"""The facts of this host for a report: found in its files by the rules of ``hostreading``, part by part.

What does not exist is left out; what cannot be read is a problem of its part, so that nobody takes it for absent.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from swarmsec.docker import host_files
from swarmsec.docker.host_files import MAX_FILE_BYTES, DaemonPlaces, daemon_of, places_of
from swarmsec.errors import SwarmsecError, Unavailable
from swarmsec.plaintext import plain
from swarmsec.reports.host_report import (
    MAX_FILES,
    MAX_LISTENERS,
    Daemon,
    HostFile,
    HostReport,
    Listener,
    Part,
    Purpose,
    Swap,
    SwarmAddresses,
)
from swarmsec.wiring.reports.hostreading import HostTree

PID_FILE: Final = "/run/docker.pid"
CERTIFICATES: Final = "/etc/docker/certs.d"
PLUGINS: Final = ("/run/docker/plugins", "/etc/docker/plugins", "/usr/lib/docker/plugins")
_UNITS: Final = ("/etc/systemd/system", "/lib/systemd/system")
_FIXED: Final = (
    *((Purpose.SERVICE_UNIT, f"{directory}/docker.service") for directory in _UNITS),
    *((Purpose.SOCKET_UNIT, f"{directory}/docker.socket") for directory in _UNITS),
    (Purpose.CONFIG_DIRECTORY, "/etc/docker"),
    (Purpose.DEFAULTS, "/etc/default/docker"),
    (Purpose.SYSCONFIG, "/etc/sysconfig/docker"),
    (Purpose.CONTAINERD_SOCKET, "/run/containerd/containerd.sock"),
)
_NO_PLACES: Final = DaemonPlaces(
    config_file=host_files.CONFIG_FILE,
    data_root=host_files.DATA_ROOT,
    socket=host_files.SOCKET,
    tls_ca="",
    tls_certificate="",
    tls_key="",
)
_ENGINE_PORTS: Final = frozenset({2375, 2376, 2377, 7946})
_MAX_PROC: Final = 16 << 20
_MAX_PID: Final = 1 << 22
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Engine:
    """The running engine: its process, what it was started with, and where it keeps things."""

    pid: int
    daemon: Daemon
    places: DaemonPlaces


def collect_host_facts(tree: HostTree, pid_file: str = PID_FILE) -> HostReport:
    """Look at a host.

    Args:
        tree: its files.
        pid_file: where its Docker Engine keeps its process id.
    """
    problems: dict[Part, str] = {}

    def part(name: Part, read: Callable[[], Found]) -> Found | None:
        try:
            return read()
        except SwarmsecError as error:
            problems[name] = plain(str(error), 300)
            return None

    engine = part(Part.DAEMON, lambda: _engine(tree, pid_file))
    places = engine.places if engine else _NO_PLACES
    return HostReport(
        version=1,
        daemon=engine.daemon if engine else None,
        files=part(Part.FILES, lambda: list(_files(tree, places))),
        listeners=part(Part.LISTENERS, lambda: _listeners(tree, engine)),
        swarm=part(Part.SWARM, lambda: _swarm(tree, places)),
        swaps=part(Part.SWAPS, lambda: _swaps(tree)),
        problems=problems,
    )


def _engine(tree: HostTree, pid_file: str) -> _Engine:
    pid = (tree.read(pid_file, limit=32) or b"").strip()
    if not pid.isdigit() or not 0 < int(pid) < _MAX_PID:
        raise Unavailable(f"expected a process id in {pid_file}; does a Docker Engine run here?")
    directory = f"/proc/{int(pid)}"
    name = (tree.read(f"{directory}/comm", limit=64) or b"").strip()
    if name != b"dockerd":
        raise Unavailable(f"the process in {pid_file} is no running dockerd")
    flags = host_files.parse_arguments(_read(tree, f"{directory}/cmdline"))
    config_file = host_files.places_of(flags, host_files.parse_daemon_config(b"")).config_file
    settings = host_files.parse_daemon_config(tree.read(config_file, limit=MAX_FILE_BYTES) or b"")
    return _Engine(pid=int(pid), daemon=daemon_of(flags, settings), places=places_of(flags, settings))


def _files(tree: HostTree, places: DaemonPlaces) -> Iterator[HostFile]:
    state = posixpath.join(places.data_root, "swarm")
    wanted = [
        *_FIXED,
        (Purpose.DAEMON_CONFIG, places.config_file),
        (Purpose.SOCKET, places.socket),
        (Purpose.TLS_CA, places.tls_ca),
        (Purpose.TLS_CERTIFICATE, places.tls_certificate),
        (Purpose.TLS_KEY, places.tls_key),
        (Purpose.SWARM_STATE, state),
        (Purpose.SWARM_KEY, posixpath.join(state, "certificates", "swarm-node.key")),
        *((Purpose.REGISTRY_CERTIFICATE, path) for path in _registry_certificates(tree)),
        *((Purpose.PLUGIN, path) for path in _plugins(tree)),
    ]
    if len(wanted) > MAX_FILES:
        raise Unavailable(f"expected at most {MAX_FILES} files to look at, got {len(wanted)}")
    for purpose, path in wanted:
        found = tree.look(purpose, path) if path else None
        if found is not None:
            yield found


def _registry_certificates(tree: HostTree) -> Iterator[str]:
    for registry in tree.names(CERTIFICATES):
        directory = posixpath.join(CERTIFICATES, registry)
        for name in tree.names(directory):
            if name.endswith((".crt", ".cert")):
                yield posixpath.join(directory, name)


def _plugins(tree: HostTree) -> Iterator[str]:
    for directory in PLUGINS:
        for name in tree.names(directory):
            if name.endswith((".sock", ".spec", ".json")):
                yield posixpath.join(directory, name)


def _listeners(tree: HostTree, engine: _Engine | None) -> list[Listener]:
    if engine is None:
        raise Unavailable("whose ports to look at is unknown while no Docker Engine runs")
    found = {
        (listener.port, listener.address): listener
        for name in ("tcp", "tcp6")
        for listener in host_files.parse_listeners(tree.read(f"/proc/{engine.pid}/net/{name}", limit=_MAX_PROC) or b"")
        if listener.port in _ENGINE_PORTS
    }
    return [found[key] for key in sorted(found)][:MAX_LISTENERS]


def _swarm(tree: HostTree, places: DaemonPlaces) -> SwarmAddresses | None:
    data = tree.read(posixpath.join(places.data_root, "swarm", "docker-state.json"), limit=MAX_FILE_BYTES)
    return None if data is None else host_files.parse_swarm_addresses(data)


def _swaps(tree: HostTree) -> list[Swap]:
    paths = host_files.parse_swaps(_read(tree, "/proc/swaps"))
    return [Swap(name=plain(path, 300), is_safe=_is_safe_swap(tree, path)) for path in paths]


def _is_safe_swap(tree: HostTree, path: str) -> bool:
    """Compressed memory, or a device that dm-crypt made; what a file lies on is not asked."""
    device = posixpath.basename(path)
    if not path.startswith("/dev/") or device in {"", ".", ".."}:
        return False
    uuid = tree.read(f"/sys/block/{device}/dm/uuid", limit=1024) or b""
    return device.startswith("zram") or uuid.startswith(b"CRYPT-")


def _read(tree: HostTree, path: str) -> bytes:
    data = tree.read(path, limit=_MAX_PROC)
    if data is None:
        raise Unavailable(f"{path} is not there")
    return data


def described(report: HostReport) -> Sequence[tuple[str, str]]:
    """A report in words: what was looked at, and what it is."""
    rows = [(file.path, f"{file.kind} {file.mode:04o} {file.owner}:{file.group}") for file in report.files or ()]
    rows += [(f"port {item.port}", f"listens on {item.address}") for item in report.listeners or ()]
    rows += [(f"swap {item.name}", "safe" if item.is_safe else "in the clear") for item in report.swaps or ()]
    return rows + [(f"{name} unknown", reason) for name, reason in report.problems.items()]
