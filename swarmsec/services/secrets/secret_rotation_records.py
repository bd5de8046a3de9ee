"""The journal of a rotation: how far it came, and what each service had before it was touched."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum


class RotationStage(StrEnum):
    """How far a rotation came; each stage is durable before the next one's work begins."""

    STAGED = "staged"
    """The new version is kept and pending; it is still to be validated."""
    VALIDATED = "validated"
    """It may be published."""
    PUBLISHED = "published"
    """It is current, and services are moved to it."""
    RETIRING = "retiring"
    """Every service has it; what is beyond the number to keep is taken away. There is no way back from here."""
    RETURNING = "returning"
    """The former version is current again, and services are moved back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TouchedService:
    """A service that the rotation changes, as it was before.

    Args:
        label: the version that its label named; empty where it had no such label.
        docker_secret: the name of the Docker secret that it used.
        mode: ``driver`` or ``native``.
    """

    service_id: str
    service_name: str
    mode: str
    label: str
    docker_secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """A rotation under way.

    Args:
        request_id: joins all of its log entries.
        version: the new one.
        former: what was current before, and ``former_previous`` what was previous.
        keep: how many versions before the new one stay live.
    """

    name: str
    request_id: str
    started: int
    stage: RotationStage
    version: int
    former: int
    former_previous: int
    keep: int
    services: tuple[TouchedService, ...]

    def touched(self, service_id: str) -> TouchedService | None:
        """What a service was before this rotation; None for one that it did not touch."""
        return next((service for service in self.services if service.service_id == service_id), None)


def format_services(services: tuple[TouchedService, ...]) -> str:
    """Write touched services the way they are kept: canonical JSON."""
    return json.dumps([asdict(service) for service in services], sort_keys=True, separators=(",", ":"))


def load_services(text: str) -> tuple[TouchedService, ...]:
    """Read kept services."""
    return tuple(TouchedService(**members) for members in json.loads(text))
