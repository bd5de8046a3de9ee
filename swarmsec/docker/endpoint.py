"""Where a Docker Engine is: the same words as Docker's own ``--host``, ``DOCKER_HOST`` and ``DOCKER_CERT_PATH``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from swarmsec.errors import UsageProblem

DEFAULT: Final = "unix:///var/run/docker.sock"
MAX_LENGTH: Final = 1024
_TCP: Final = re.compile(r"tcp://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})", re.ASCII)
_UNIX: Final = re.compile(r"unix:///[^\s?#]+")
_FORM: Final = "for example unix:///var/run/docker.sock or tcp://m1.example.internal:2376"


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerEndpoint:
    """One engine's address.

    Args:
        url: ``unix:///PATH`` or ``tcp://HOST:PORT``.
        tls: the directory of ``ca.pem``, ``cert.pem`` and ``key.pem``; None for a connection without TLS.
    """

    url: str
    tls: Path | None = None

    @classmethod
    def parse(cls, url: str, tls: Path | None = None) -> DockerEndpoint:
        """Check an address.

        Raises:
            UsageProblem: it is of another form, or TLS is asked of a socket.
        """
        if len(url) > MAX_LENGTH or not url.isprintable():
            raise UsageProblem(f"expected the address of a Docker Engine, got {url[:80]!r}", hint=_FORM)
        found = _TCP.fullmatch(url)
        if found is not None and 0 < int(found["port"]) <= 65_535:
            return cls(url=url, tls=tls.absolute() if tls else None)
        if _UNIX.fullmatch(url):
            return cls(url=url)
        hint = "there is no ssh here: forward the socket, or run this where the engine is"
        raise UsageProblem(
            f"expected the address of a Docker Engine, got {url[:80]!r}",
            hint=hint if url.startswith("ssh:") else _FORM,
        )


def find_endpoint(
    given: str | None, tls: Path | None, environment: Mapping[str, str], stored: DockerEndpoint | None
) -> DockerEndpoint:
    """The engine that a command is about: the option, this home's own, the environment, Docker's default.

    Args:
        given: ``--docker``.
        tls: ``--docker-tls``.
        environment: for ``DOCKER_HOST``, ``DOCKER_TLS_VERIFY`` and ``DOCKER_CERT_PATH``.
        stored: what ``swarm adopt`` stored.

    Raises:
        UsageProblem: an address cannot be one.
    """
    if given is None and tls is None and stored is not None:
        return stored
    if tls is None and environment.get("DOCKER_TLS_VERIFY"):
        tls = Path(environment.get("DOCKER_CERT_PATH") or Path.home() / ".docker")
    return DockerEndpoint.parse(given or environment.get("DOCKER_HOST") or DEFAULT, tls)
