"""Services, tasks and Docker secrets as managers describe them, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

RUNNING = "running"
NAME_LABEL = "io.swarmsec.name"
"""Label of a Docker secret: the name of the secret that it stands for."""
FINGERPRINT_LABEL = "io.swarmsec.fingerprint"
"""Label of a Docker secret that Docker itself keeps: the keyed fingerprint of its value."""
VERSION_LABEL = "io.swarmsec.version."
"""Beginning of a service's label; the fingerprint of a secret's name follows, its value is a version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretReference:
    """A Docker secret in a service: its file, owner and mode."""

    secret_id: str
    secret_name: str
    target: str
    uid: str
    gid: str
    mode: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceState:
    """One service.

    Args:
        version: of the object, for a write that must not overwrite another.
        labels: of its present specification.
        previous_labels: of the specification before, which a rollback brings back; empty where there is none.
        image: of its containers as its specification names it.
        update_state: ``updating``, ``paused``, ``completed``, ``rollback_…``; empty where none ever ran.
        spec: the whole specification exactly as the engine gave it.
    """

    id: str
    version: int
    name: str
    labels: Mapping[str, str]
    previous_labels: Mapping[str, str]
    image: str
    secrets: tuple[SecretReference, ...]
    update_state: str
    update_message: str
    spec: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskState:
    """One task; ``error`` is what the node said of its failure."""

    id: str
    service_id: str
    node_id: str
    state: str
    desired_state: str
    image: str
    secrets: tuple[SecretReference, ...]
    force_update: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerSecret:
    """A Docker secret without its value; ``driver`` is empty for one that Docker itself keeps."""

    id: str
    name: str
    labels: Mapping[str, str]
    driver: str
