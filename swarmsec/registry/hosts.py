"""Hosts of registries and repositories: their addresses, and where plain HTTP is allowed.

Docker Hub's names are Docker's own (distribution/reference, ``docker.io``; its API is at ``registry-1.docker.io``).
Plain HTTP is for loopback, and for hosts that a person names as insecure.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from notary.reference import DEFAULT_DOMAIN
from swarmsec.errors import Denied, UsageProblem

HUB_API: Final = "registry-1.docker.io"
HUB_KEY: Final = "https://index.docker.io/v1/"
"""How Docker's configuration names Docker Hub."""
MAX_URL: Final = 8192
_PORTS: Final = {"http": 80, "https": 443}
_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}", re.ASCII)
_PATH: Final = re.compile(r"[!-~]*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Scheme, host (IPv6 without brackets) and port: what credentials belong to."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An origin with path and query."""

    origin: Origin
    path: str

    def __str__(self) -> str:
        return f"{self.origin}{self.path}"


def parse_url(text: str, *, insecure: Collection[str]) -> Address:
    """Read an absolute URL that may be asked.

    Args:
        text: from a person, a redirect or a challenge.
        insecure: hosts, or ``host:port``, that may be spoken to in plain HTTP beside loopback.

    Raises:
        Denied: plain HTTP to a host for which nobody allowed it.
        UsageProblem: it is no such URL, or carries a login.
    """
    try:
        parts = urlsplit(text if len(text) <= MAX_URL else "")
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        host, port = "", None
        parts = urlsplit("")
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    is_good = parts.scheme in _PORTS and _HOST.fullmatch(host) and _PATH.fullmatch(path) and port != 0
    if not is_good or "@" in parts.netloc:
        # What stands before an @ may be a password.
        shown = "one with a login" if "@" in text else f"{text[:100]!a}"
        raise UsageProblem(f"expected a URL https://HOST…, got {shown}")
    origin = Origin(scheme=parts.scheme, host=host, port=port or _PORTS[parts.scheme])
    verify_allowed(origin, insecure=insecure)
    return Address(origin=origin, path=path or "/")


def verify_allowed(origin: Origin, *, insecure: Collection[str]) -> None:
    """Refuse plain HTTP where it is not allowed.

    Raises:
        Denied: names the host.
    """
    named = {origin.host, f"{origin.host}:{origin.port}", str(origin).partition("://")[2]}
    if origin.scheme == "http" and not is_loopback(origin.host) and not named & set(insecure):
        raise Denied(
            f"expected https, got plain HTTP to {origin.host}:{origin.port}",
            hint=f"if that is meant: --insecure-registry {origin.host}:{origin.port}",
        )


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself, by name or address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def registry_origins(domain: str, *, insecure: Collection[str]) -> tuple[Origin, ...]:
    """Where a registry's API is, in the order to try.

    Args:
        domain: of an image reference, such as ``docker.io`` or ``localhost:5000``.
        insecure: as ``parse_url``.

    Returns:
        HTTPS; and plain HTTP after it where that is allowed, as Docker does.
    """
    name = HUB_API if domain == DEFAULT_DOMAIN else domain
    parts = urlsplit(f"//{name}")
    host, port = parts.hostname or name, parts.port
    secure = Origin(scheme="https", host=host, port=port or 443)
    if is_loopback(host) or {domain, host} & set(insecure):
        return secure, Origin(scheme="http", host=host, port=port or 80)
    return (secure,)
