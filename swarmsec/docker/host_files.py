"""What files of a host say of its Docker Engine: its arguments, its settings, its ports, its place in the Swarm.

Everything here takes the bytes of a file and gives values. Only what a control asks for is taken out; all else of
these files stays where it is. Formats: proc(5), dockerd(8), and the ``docker-state.json`` that engines 18 to 29 keep.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from swarmsec.errors import UsageProblem
from swarmsec.reports.host_report import Daemon, Listener, SwarmAddresses

MAX_FILE_BYTES: Final = 1 << 20
DATA_ROOT: Final = "/var/lib/docker"
CONFIG_FILE: Final = "/etc/docker/daemon.json"
SOCKET: Final = "/run/docker.sock"
_SHORT: Final = {"H": "host", "g": "data-root", "l": "log-level", "D": "debug"}
_LISTS: Final = frozenset({"host"})
_TEXTS: Final = frozenset({"config-file", "data-root", "log-level", "tlscacert", "tlscert", "tlskey"})
_SWITCHES: Final = frozenset({"debug", "iptables", "no-new-privileges", "tlsverify", "userland-proxy"})
_TRUE: Final = frozenset({"", "1", "t", "T", "true", "TRUE", "True"})
_LISTENS: Final = "0A"
_ADDRESS: Final = re.compile(r"([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})")
_Paths = Annotated[str, Meta(max_length=1024)]
Document = TypeVar("Document")
_LEVELS: Final = frozenset({"debug", "info", "warn", "error", "fatal"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonPlaces:
    """Where the engine keeps things; empty for what it was not told."""

    config_file: str
    data_root: str
    socket: str
    tls_ca: str
    tls_certificate: str
    tls_key: str


class DaemonSettings(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """The members of ``daemon.json`` that are asked for; others are the engine's business."""

    hosts: Annotated[list[Annotated[str, Meta(max_length=300)]], Meta(max_length=64)] = []
    data_root: _Paths = ""
    log_level: str = ""
    tlscacert: _Paths = ""
    tlscert: _Paths = ""
    tlskey: _Paths = ""
    debug: bool = False
    iptables: bool | None = None
    no_new_privileges: bool | None = None
    tlsverify: bool | None = None
    userland_proxy: bool | None = None


class _State(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    listen_addr: Annotated[str, Meta(max_length=300)] = ""
    advertise_addr: Annotated[str, Meta(max_length=300)] = ""
    data_path_addr: Annotated[str, Meta(max_length=300)] = ""


def parse_arguments(data: bytes) -> Mapping[str, Sequence[str]]:
    """Take the flags of interest out of a daemon's arguments.

    Args:
        data: ``/proc/PID/cmdline``: arguments, each ended by a zero byte.

    Returns:
        values by the flag's long name, in their order; a switch without a value is ``true``.
    """
    words = iter(data.decode("utf-8", "replace").split("\0")[1:])
    found: dict[str, list[str]] = {}
    for word in words:
        name, separator, value = _named(word)
        if name in _SWITCHES:
            found.setdefault(name, []).append(value if separator else "true")
        elif name in _LISTS | _TEXTS:
            found.setdefault(name, []).append(value if separator else next(words, ""))
    return found


def parse_daemon_config(data: bytes) -> DaemonSettings:
    """Read ``daemon.json``; an empty file sets nothing.

    Raises:
        UsageProblem: it is no such file.
    """
    return _decoded(data or b"{}", DaemonSettings, "daemon.json")


def parse_swarm_addresses(data: bytes) -> SwarmAddresses:
    """Read ``docker-state.json``.

    Raises:
        UsageProblem: it is no such file.
    """
    state = _decoded(data, _State, "docker-state.json")
    return SwarmAddresses(listen=state.listen_addr, advertise=state.advertise_addr, data_path=state.data_path_addr)


def parse_listeners(data: bytes) -> Iterable[Listener]:
    """Every listening socket of ``/proc/net/tcp`` or ``tcp6``; lines of another form are passed over."""
    for line in data.decode("ascii", "replace").splitlines()[1:]:
        fields = line.split()
        found = _ADDRESS.fullmatch(fields[1]) if len(fields) > 3 and fields[3] == _LISTENS else None
        if found is not None and int(found[2], 16):
            yield Listener(address=_address(found[1]), port=int(found[2], 16))


def parse_swaps(data: bytes) -> Sequence[str]:
    """The paths of ``/proc/swaps``; a space within one is written as ``\\040`` there and stays so."""
    lines = data.decode("utf-8", "replace").splitlines()[1:]
    return [line.split()[0] for line in lines if line.split()]


def daemon_of(flags: Mapping[str, Sequence[str]], settings: DaemonSettings) -> Daemon:
    """What a daemon was started with; its arguments win, as they do for the daemon, where both speak."""
    hosts = [*flags.get("host", ()), *settings.hosts]
    level = _text(flags, "log-level") or settings.log_level or "info"
    if _switch(flags, "debug", settings.debug, default=False):
        level = "debug"
    return Daemon(
        tcp_hosts=[_words(host) for host in hosts if host.startswith(("tcp://", "http://", "https://"))][:16],
        tls_verify=_switch(flags, "tlsverify", settings.tlsverify, default=False),
        iptables=_switch(flags, "iptables", settings.iptables, default=True),
        userland_proxy=_switch(flags, "userland-proxy", settings.userland_proxy, default=True),
        no_new_privileges=_switch(flags, "no-new-privileges", settings.no_new_privileges, default=False),
        log_level=level if level in _LEVELS else "unknown",
    )


def places_of(flags: Mapping[str, Sequence[str]], settings: DaemonSettings) -> DaemonPlaces:
    """Where a daemon keeps things."""
    hosts = [*flags.get("host", ()), *settings.hosts]
    sockets = [host.removeprefix("unix://") for host in hosts if host.startswith("unix:///")]
    return DaemonPlaces(
        config_file=_text(flags, "config-file") or CONFIG_FILE,
        data_root=_text(flags, "data-root") or settings.data_root or DATA_ROOT,
        socket=sockets[0] if sockets else SOCKET,
        tls_ca=_text(flags, "tlscacert") or settings.tlscacert,
        tls_certificate=_text(flags, "tlscert") or settings.tlscert,
        tls_key=_text(flags, "tlskey") or settings.tlskey,
    )


def _named(word: str) -> tuple[str, str, str]:
    """An argument's long name, what parts it from its value, and the value."""
    if word.startswith("--"):
        name, separator, value = word[2:].partition("=")
        return ("data-root" if name == "graph" else name), separator, value
    name = _SHORT.get(word[1:2], "") if word.startswith("-") else ""
    rest = word[2:].removeprefix("=")
    return name, rest and "=", rest


def _decoded(data: bytes, kind: type[Document], name: str) -> Document:
    if len(data) > MAX_FILE_BYTES:
        raise UsageProblem(f"expected at most {MAX_FILE_BYTES} bytes in {name}")
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise UsageProblem(f"expected {name} as an engine keeps it: {ascii(str(error))[1:-1][:160]}") from None


def _address(text: str) -> str:
    """The kernel writes each word of an address in the machine's byte order."""
    words = struct.pack(f"={len(text) // 8}I", *(int(text[at : at + 8], 16) for at in range(0, len(text), 8)))
    return str(ipaddress.ip_address(words))


def _text(flags: Mapping[str, Sequence[str]], name: str) -> str:
    return flags[name][-1] if flags.get(name) else ""


def _switch(flags: Mapping[str, Sequence[str]], name: str, setting: bool | None, *, default: bool) -> bool:
    if flags.get(name):
        return flags[name][-1] in _TRUE
    return default if setting is None else setting


def _words(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[:300])
