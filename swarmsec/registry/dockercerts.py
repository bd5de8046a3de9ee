"""Authorities of private registries where Docker keeps them: ``/etc/docker/certs.d/HOST[:PORT]/*.crt``."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

from swarmsec.errors import UsageProblem
from swarmsec.openedfile import open_to_read
from swarmsec.peertrust import system_context
from swarmsec.registry.hosts import Origin

CERTIFICATES: Final = Path("/etc/docker/certs.d")
_MAX_FILES: Final = 64
_MAX_BYTES: Final = 262_144


def registry_context(origin: Origin, *, directory: Path = CERTIFICATES) -> ssl.SSLContext:
    """A TLS context that trusts the system's authorities, and those that Docker was given for this registry.

    Raises:
        UsageProblem: a file there holds no certificates.
    """
    context = system_context()
    for name in (f"{origin.host}:{origin.port}", origin.host):
        try:
            files = sorted((directory / name).glob("*.crt"))[:_MAX_FILES]
        except OSError:
            continue
        for file in files:
            _add(context, file)
    return context


def _add(context: ssl.SSLContext, file: Path) -> None:
    try:
        with open_to_read(file) as opened:
            context.load_verify_locations(cadata=opened.read(_MAX_BYTES).decode("ascii"))
    except (OSError, ValueError):
        raise UsageProblem(f"expected certificates in {file}", hint="Docker reads them there, too") from None
