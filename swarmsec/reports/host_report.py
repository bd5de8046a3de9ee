"""What the agent of a node says of it: files, listening ports, daemon settings, swap; a closed document with bounds.

There is exactly one form of each document: members sorted, no spaces, none missing and none more. So equal facts are
equal bytes, and a member that stands twice cannot hide. It holds no time: when a report came, its receiver knows.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from swarmsec.errors import UsageProblem

MAX_REPORT_BYTES: Final = 65_536
VERSION: Final = 1
MAX_FILES: Final = 256
MAX_LISTENERS: Final = 64
MAX_SWAPS: Final = 32

Words = Annotated[str, Meta(max_length=300, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
Path = Annotated[str, Meta(max_length=1024, pattern=r"^/[^\x00]*\Z")]
Name = Annotated[str, Meta(max_length=64, pattern=r"^[A-Za-z0-9_.$-]*\Z")]
Port = Annotated[int, Meta(ge=1, le=65_535)]
Id = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Mode = Annotated[int, Meta(ge=0, le=0o7777)]


class Purpose(StrEnum):
    """What a file is to the engine."""

    SERVICE_UNIT = "service-unit"
    SOCKET_UNIT = "socket-unit"
    CONFIG_DIRECTORY = "config-directory"
    REGISTRY_CERTIFICATE = "registry-certificate"
    TLS_CA = "tls-ca"
    TLS_CERTIFICATE = "tls-certificate"
    TLS_KEY = "tls-key"
    SOCKET = "socket"
    DAEMON_CONFIG = "daemon-config"
    DEFAULTS = "defaults"
    SYSCONFIG = "sysconfig"
    CONTAINERD_SOCKET = "containerd-socket"
    SWARM_STATE = "swarm-state"
    SWARM_KEY = "swarm-key"
    PLUGIN = "plugin"
    """A socket or description by which the engine finds a plugin (Docker, "Plugin discovery")."""


class Kind(StrEnum):
    """What a file is to the kernel."""

    FILE = "file"
    DIRECTORY = "directory"
    SOCKET = "socket"
    LINK = "link"
    OTHER = "other"


class Part(StrEnum):
    """A part of a report, which may be missing for a reason."""

    DAEMON = "daemon"
    FILES = "files"
    LISTENERS = "listeners"
    SWARM = "swarm"
    SWAPS = "swaps"


class _Closed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A document without members that nobody declared."""


class HostFile(_Closed, frozen=True):
    """One file, as it was found: never what a link leads to. ``owner`` and ``group`` are empty where unknown."""

    purpose: Purpose
    path: Path
    kind: Kind
    mode: Mode
    uid: Id
    gid: Id
    owner: Name
    group: Name


class Daemon(_Closed, frozen=True):
    """Settings that the running daemon was started with, from its arguments and ``daemon.json``; else its defaults."""

    tcp_hosts: Annotated[list[Words], Meta(max_length=16)]
    """``tcp://`` addresses that it listens on."""
    tls_verify: bool
    iptables: bool
    userland_proxy: bool
    no_new_privileges: bool
    log_level: Name


class Listener(_Closed, frozen=True):
    """A TCP port that the daemon's network namespace listens on."""

    address: Annotated[str, Meta(max_length=45, pattern=r"^[0-9a-f.:]+\Z")]
    port: Port


class SwarmAddresses(_Closed, frozen=True):
    """Addresses of the node in the Swarm, as the engine keeps them; empty where it keeps none."""

    listen: Words
    advertise: Words
    data_path: Words


class Swap(_Closed, frozen=True):
    """An area of swap; ``is_safe``: encrypted, or in memory."""

    name: Words
    is_safe: bool


class HostReport(_Closed, frozen=True):
    """Everything; a part is None where it could not be read, for the reason in ``problems``, or does not exist."""

    version: Annotated[int, Meta(ge=VERSION, le=VERSION)]
    problems: Annotated[dict[Part, Words], Meta(max_length=8)]
    daemon: Daemon | None
    files: Annotated[list[HostFile], Meta(max_length=MAX_FILES)] | None
    listeners: Annotated[list[Listener], Meta(max_length=MAX_LISTENERS)] | None
    swarm: SwarmAddresses | None
    swaps: Annotated[list[Swap], Meta(max_length=MAX_SWAPS)] | None


_DECODER: Final = msgspec.json.Decoder(HostReport, strict=True)


def encode_host_report(report: HostReport) -> bytes:
    """Write a report in its one form.

    Raises:
        UsageProblem: it is larger than a report may be, or holds what none may hold.
    """
    data = msgspec.json.encode(report, order="sorted")
    parse_host_report(data)
    return data


def parse_host_report(data: bytes) -> HostReport:
    """Read a report.

    Args:
        data: as an agent sent it, or as it was kept.

    Raises:
        UsageProblem: it is none, or not in its one form.
    """
    if len(data) > MAX_REPORT_BYTES:
        raise UsageProblem(f"expected at most {MAX_REPORT_BYTES} bytes of facts, got {len(data)}")
    try:
        report = _DECODER.decode(data)
        is_in_form = msgspec.json.encode(report, order="sorted") == data
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise UsageProblem(f"expected the facts of a host: {ascii(str(error))[1:-1][:200]}") from None
    if not is_in_form:
        raise UsageProblem("expected the facts of a host in their one form: sorted members, each once, no spaces")
    return report


def digest_of(data: bytes) -> str:
    """The SHA-256 by which a report stands in the log and as evidence, lower-case hex."""
    return hashlib.sha256(data).hexdigest()
