"""A task's request for a secret: what the engine says of it, and what the manager was found to say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from swarmsec.secretbytes import SecretBytes

DELIVERED: Final = "delivered"
"""What became of a request that no ``RefusalKind`` tells."""
TAKEN_BACK: Final = "taken_back"
"""What became of one that counts as delivered, where the log tells later that the value came too late to leave."""
MAX_TOGETHER: Final = 32
"""Deliveries that a driver asks a server for in one request."""
MAX_TOGETHER_BYTES: Final = 3 << 20
"""Of such a request. One of an engine has at most 1 MiB; its labels come twice, once more as the manager has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRequest:
    """What an engine sends to a secret driver; each member is a claim until it was checked.

    ``secret_labels`` and ``service_labels`` are written by whoever may make secrets and services.
    """

    secret_name: str
    secret_labels: Mapping[str, str]
    service_id: str
    service_name: str
    service_labels: Mapping[str, str]
    task_id: str
    task_name: str
    task_image: str
    node_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedTask:
    """What the manager says of the task that a request names.

    Args:
        service_labels: of the specification that the task was made from: the present one or the one before.
        image: as the task's own specification names it.
        hostname: of its node; empty where the manager did not say.
    """

    task_id: str
    service_id: str
    service_name: str
    service_labels: Mapping[str, str]
    image: str
    node_id: str
    hostname: str


class RefusalKind(StrEnum):
    """Why a task got nothing, in one word for counts and lists.

    ``REQUEST`` is none that can be meant, ``TASK`` not what the manager says, ``SECRET`` no such secret or version,
    ``NODE`` a node without a certificate that counts, ``POLICY`` the documents in force, ``IMAGE`` an image that is
    not vouched for. ``LATE`` did not come in time, ``UNAVAILABLE`` could not be told, ``DEFECT`` is a fault of ours.
    """

    REQUEST = "request"
    TASK = "task"
    SECRET = "secret"  # noqa: S105  # a word
    NODE = "node"
    POLICY = "policy"
    IMAGE = "image"
    LATE = "late"
    UNAVAILABLE = "unavailable"
    DEFECT = "defect"


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOver:
    """A value for a task, with the number of the log entry that says so."""

    value: SecretBytes
    entry: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A service that ``secrets attach`` gave a secret to."""

    name: str
    service_id: str
    service_name: str
    docker_secret: str
    """The name of the Docker secret."""
    target: str
    mode: str
    """``driver`` or ``native``."""
    created: int
