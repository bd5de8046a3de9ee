"""``swarmsec.toml``: what an operator can set, parsed once and strictly."""

from __future__ import annotations

import os
import stat
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from swarmsec.errors import NotFound, Unavailable, UsageProblem
from swarmsec.openedfile import open_to_read

FILE_NAME: Final = "swarmsec.toml"
FORMAT: Final = 1
MAX_BYTES: Final = 65_536
MAX_TEXT: Final = 1024
MAX_NAMES: Final = 100
ADDRESSES: Final = "addresses"
SUBJECTS: Final = "subjects"
KEYED_HASHES: Final = (ADDRESSES, SUBJECTS)
"""What of persons the log may hold as keyed hashes: client addresses, and the subjects of CI identities."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSettings:
    """Where state is kept."""

    url: str = "sqlite:///state.db"
    disk_timeout_seconds: int = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class SealSettings:
    """Where the key file of a file seal lies; empty for the state directory."""

    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorSettings:
    """Where the rollback anchor lies; empty for the state directory."""

    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pkcs11Settings:
    """The library of the token that has the root key, and the file with its PIN; empty where no token is used."""

    module: str = ""
    pin_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaSettings:
    """Certificates: how long they live, how long a Swarm's former root is kept, whether managers need approval, and how
    many nodes a second get certificates of another root."""

    certificate_hours: int = 2160
    allow_short_lifetimes: bool = False
    certificate_minutes: int = 0
    """How long certificates live that renew by themselves, where it shall be less than an hour; 0 for the hours."""
    former_root_minutes: int = 5
    require_approval: bool = False
    rotation_nodes_per_second: int = 10
    task_certificate_hours: int = 168
    """How long certificates live that tasks get as secrets; never longer than ``certificate_hours``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """The server."""

    listen: str = "127.0.0.1:8443"
    names: tuple[str, ...] = ()
    max_connections: int = 8192
    max_concurrent_requests: int = 256
    failed_attempts_per_minute: int = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustSettings:
    """The file with the rules for identities of CI; empty for none."""

    oidc: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """The log: how often a server asks witnesses that have an address (0 for never), and what of persons it hashes."""

    witness_seconds: int = 60
    keyed_hashes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """One home's settings."""

    storage: StorageSettings = field(default_factory=StorageSettings)
    seal: SealSettings = field(default_factory=SealSettings)
    anchor: AnchorSettings = field(default_factory=AnchorSettings)
    pkcs11: Pkcs11Settings = field(default_factory=Pkcs11Settings)
    ca: CaSettings = field(default_factory=CaSettings)
    serve: ServeSettings = field(default_factory=ServeSettings)
    trust: TrustSettings = field(default_factory=TrustSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)


_OTHERS_WRITE: Final = 0o022
_SECTIONS: Final[dict[str, type[Any]]] = {
    "storage": StorageSettings,
    "seal": SealSettings,
    "anchor": AnchorSettings,
    "pkcs11": Pkcs11Settings,
    "ca": CaSettings,
    "serve": ServeSettings,
    "trust": TrustSettings,
    "audit": AuditSettings,
}
_BOUNDS: Final = {
    "disk_timeout_seconds": (1, 3600),
    "certificate_hours": (1, 24 * 3650),
    "certificate_minutes": (0, 59),
    "former_root_minutes": (0, 7 * 24 * 60),
    "rotation_nodes_per_second": (1, 10_000),
    "task_certificate_hours": (1, 24 * 3650),
    "max_connections": (1, 65_536),
    "max_concurrent_requests": (1, 4096),
    "failed_attempts_per_minute": (1, 100_000),
    "witness_seconds": (0, 86_400),
}


def load_config(home: Path) -> Config:
    """Read a home's settings.

    Raises:
        NotFound: the directory is no home.
        UsageProblem: a setting is unknown, of the wrong kind or out of bounds, or others could have written it.
        Unavailable: the file cannot be read.
    """
    path = home / FILE_NAME
    try:
        with open_to_read(path) as file:
            _verify_kept(path, os.fstat(file.fileno()).st_mode)
            _verify_kept(home, home.stat().st_mode)
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise NotFound(f"no swarmsec home at {home}", hint=f"make one with: swarmsec --home {home} ca init") from None
    except OSError as error:
        raise Unavailable(f"{path} could not be read: {error.strerror}", hint="check its owner and mode") from None
    return parse_config(data, source=str(path))


def _verify_kept(path: Path, mode: int) -> None:
    """Settings name a library that runs with the home's keys; whoever may write them has the keys."""
    if stat.S_IMODE(mode) & _OTHERS_WRITE:
        raise UsageProblem(
            f"expected {path} to be writable by its owner alone, got mode {stat.S_IMODE(mode):04o}",
            hint=f"see whether swarmsec.toml is as it should be, then: chmod go-w {path}",
        )


def parse_config(data: bytes, *, source: str) -> Config:
    """Parse settings from TOML.

    Args:
        data: at most ``MAX_BYTES`` bytes.
        source: the name for errors.

    Raises:
        UsageProblem: see ``load_config``.
    """
    if len(data) > MAX_BYTES:
        raise UsageProblem(f"{source}: expected at most {MAX_BYTES} bytes")
    try:
        document = tomllib.loads(data.decode())
    except tomllib.TOMLDecodeError as error:
        raise UsageProblem(f"{source}: expected TOML: {str(error)!r:.200}") from None
    except (ValueError, RecursionError):
        # NOTE: tomllib lets plain ValueErrors out, for integers of too many digits.
        raise UsageProblem(f"{source}: expected TOML in UTF-8 with values of ordinary size") from None
    if document.pop("format", None) != FORMAT:
        raise UsageProblem(f"{source}: expected format = {FORMAT}", hint="the home was written by another version")
    sections = {}
    for name, table in document.items():
        if name not in _SECTIONS or not isinstance(table, dict):
            raise UsageProblem(f"{source}: unknown section {name!r:.60}", hint=f"known: {', '.join(_SECTIONS)}")
        sections[name] = _section(_SECTIONS[name], table, f"{source}: [{name}]")
    config = Config(**sections)
    _verify_lifetime(config.ca, f"{source}: [ca]")
    if not set(config.audit.keyed_hashes) <= set(KEYED_HASHES):
        raise UsageProblem(f"{source}: [audit] keyed_hashes: expected only {', '.join(KEYED_HASHES)}")
    return config


def _verify_lifetime(settings: CaSettings, where: str) -> None:
    """A life below an hour must be meant: by two settings that agree."""
    minutes = settings.certificate_minutes
    if minutes == 1:
        raise UsageProblem(f"{where} certificate_minutes: expected 2 to 59, or 0 for certificate_hours, got 1")
    if minutes and not settings.allow_short_lifetimes:
        raise UsageProblem(
            f"{where} certificate_minutes: expected allow_short_lifetimes = true beside it",
            hint="a node whose clock runs late refuses certificates of less than an hour; allow it, or use hours",
        )


def _section(kind: type[Any], table: dict[str, Any], where: str) -> Any:
    known = {member.name: member.default for member in fields(kind)}
    values = {}
    for name, value in table.items():
        if name not in known:
            raise UsageProblem(f"{where}: unknown setting {name!r:.60}", hint=f"known: {', '.join(known)}")
        values[name] = _checked(value, known[name], f"{where} {name}")
    return kind(**values)


def _checked(value: object, default: object, where: str) -> object:
    match default:
        case str() if _is_text(value):
            return value
        case bool():
            if isinstance(value, bool):
                return value
        case int() if isinstance(value, int) and not isinstance(value, bool):
            return _bounded(value, where)
        case tuple() if isinstance(value, list) and len(value) <= MAX_NAMES and all(map(_is_text, value)):
            return tuple(value)
    # The value itself may hold a password: a database URL does.
    shown = str(default).lower() if isinstance(default, bool) else repr(default)
    raise UsageProblem(f"{where}: expected a value like {shown}, got another {type(value).__name__}")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT and value.isprintable()


def _bounded(value: int, where: str) -> int:
    low, high = _BOUNDS[where.rpartition(" ")[2]]
    if not low <= value <= high:
        raise UsageProblem(f"{where}: expected {low} to {high}, got {value!s:.40}")
    return value


def initial_text(database_url: str, pkcs11: Pkcs11Settings | None = None) -> str:
    """The file that a new home gets, its settings shown with their defaults."""
    storage, ca, serve = StorageSettings(), CaSettings(), ServeSettings()
    token = pkcs11_text(pkcs11) if pkcs11 and pkcs11.module else _UNUSED_SECTION
    return f"""\
# The settings of this swarmsec home; docs/configuration.md explains them.
format = {FORMAT}

[storage]
url = {_quoted(database_url)}
# disk_timeout_seconds = {storage.disk_timeout_seconds}

# [seal]
# path = "/path/outside/this/home/seal.key"

# [anchor]
# path = "/path/on/another/mount/anchor"

{token}
# [ca]
# certificate_hours = {ca.certificate_hours}
# allow_short_lifetimes = {str(ca.allow_short_lifetimes).lower()}
# certificate_minutes = {ca.certificate_minutes}
# former_root_minutes = {ca.former_root_minutes}
# require_approval = {str(ca.require_approval).lower()}
# rotation_nodes_per_second = {ca.rotation_nodes_per_second}
# task_certificate_hours = {ca.task_certificate_hours}

# [serve]
# listen = "{serve.listen}"
# names = ["ca.example.internal"]
# max_connections = {serve.max_connections}
# max_concurrent_requests = {serve.max_concurrent_requests}
# failed_attempts_per_minute = {serve.failed_attempts_per_minute}

# [trust]
# oidc = "ci-identities.json"

# [audit]
# witness_seconds = {AuditSettings().witness_seconds}
# keyed_hashes = ["addresses", "subjects"]
"""


_UNUSED_SECTION: Final = """\
# [pkcs11]
# module = "/usr/lib/token.so"
# pin_file = "/path/outside/this/home/pin"
"""


def pkcs11_text(settings: Pkcs11Settings) -> str:
    """A section with the token's settings."""
    return f"[pkcs11]\nmodule = {_quoted(settings.module)}\npin_file = {_quoted(settings.pin_file)}\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
