"""The Swarm that a command is about."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from swarmsec.docker.endpoint import DockerEndpoint, find_endpoint
from swarmsec.docker.engine import EngineApi
from swarmsec.docker.swarm_engine import DockerSwarm
from swarmsec.errors import Unavailable, UsageProblem
from swarmsec.services.swarm.swarm_link import SwarmLink, load_link
from swarmsec.services.swarm.swarm_records import EngineInfo
from swarmsec.wiring.homes.home import Home


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSwarm:
    """An engine, where it is, and what the home has of its Swarm."""

    engine: DockerSwarm
    endpoint: DockerEndpoint
    link: SwarmLink | None

    @property
    def docker_tls(self) -> str:
        """The directory of the client certificate, as it is kept; empty for none."""
        return str(self.endpoint.tls or "")


def find_home_endpoint(home: Home, docker: str | None, tls: Path | None = None) -> DockerEndpoint:
    """Find the engine of this call: the option, what the home has stored, the environment, Docker's default.

    Raises:
        UsageProblem: an address cannot be one.
    """
    return _endpoint(home.store.read(load_link), docker, tls)


def open_swarm(home: Home, docker: str | None, tls: Path | None = None) -> OpenSwarm:
    """The Swarm behind the engine of this call.

    Raises:
        UsageProblem: an address cannot be one.
    """
    link = home.store.read(load_link)
    endpoint = _endpoint(link, docker, tls)
    return OpenSwarm(engine=DockerSwarm(EngineApi(endpoint)), endpoint=endpoint, link=link)


def _endpoint(link: SwarmLink | None, docker: str | None, tls: Path | None) -> DockerEndpoint:
    stored = None
    if link is not None:
        stored = DockerEndpoint.parse(link.docker, Path(link.docker_tls) if link.docker_tls else None)
    return find_endpoint(docker, tls, os.environ, stored)


def verify_same_swarm(home: Home, swarm: OpenSwarm) -> None:
    """See that an engine manages the Swarm that this home has adopted, and not another one.

    Raises:
        UsageProblem: it is of another Swarm, or ``verify_manages``.
        Unavailable: it is locked, or does not answer.
    """
    verify_manages(swarm.engine.info(), swarm.endpoint.url)
    expected, got = home.store.read(lambda transaction: transaction.settings.get("cluster_id")), swarm.engine.swarm().id
    if got != expected:
        raise UsageProblem(
            f"expected an engine of the Swarm {expected}, got one of {got} at {swarm.endpoint.url}",
            hint="name a manager of this home's Swarm with --docker HOST",
        )


def verify_manages(info: EngineInfo, where: str) -> None:
    """See that an engine answers for a Swarm.

    Raises:
        UsageProblem: it is in none, or a worker.
        Unavailable: it is locked, or its Swarm is in trouble.
    """
    match info.swarm_state:
        case "active" if info.is_manager:
            return
        case "active" | "inactive":
            what = "is a worker" if info.swarm_state == "active" else "is in no Swarm"
            raise UsageProblem(f"the Docker Engine at {where} {what}", hint="name a manager with --docker HOST")
        case "locked":
            hint = "unlock it with: swarmsec swarm autolock unlock"
            raise Unavailable(f"the Swarm is locked on {where}", hint=hint)
        case state:
            problem = f": {info.problem}" if info.problem else ""
            raise Unavailable(f"the Swarm on {where} is in state {state}{problem}"[:400], hint="see: docker info")
