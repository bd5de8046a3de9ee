"""What delivering secrets needs of a Docker Engine that manages the Swarm."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from swarmsec.errors import SwarmsecError, Unavailable
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.secrets.delivery_records import CheckedTask, SecretRequest
from swarmsec.services.secrets.service_records import DockerSecret, ServiceState, TaskState

ChangeService = Callable[[ServiceState, dict[str, Any]], dict[str, Any]]
"""The present state and a copy of its specification in, the whole new one out; asked again if somebody was faster."""


class TaskChecker(Protocol):
    """Holds requests of the engine against the manager, with what it asks after ``check`` was called alone.

    For each request, in order, it gives the task, or why not: ``NotFound`` for a task or service that is not there,
    ``UsageProblem`` for claims that are not so, ``Unavailable`` for an answer that cannot be used. It raises
    ``Unavailable`` where the manager does not answer in time.
    """

    def check(self, requests: Sequence[SecretRequest], /) -> Sequence[CheckedTask | SwarmsecError]: ...
    def warm_up(self) -> None: ...


class AnswerTooLong(Unavailable):
    """An answer that is longer than one may be; one about fewer objects may not be."""


class TaskReader(Protocol):
    """Looks at tasks, their services and their nodes: one question for all that are named.

    What the manager does not know is left out; an object that cannot be read comes as the error that says so.
    """

    def find_tasks(self, ids: Collection[str], /) -> Mapping[str, TaskState | SwarmsecError]: ...
    def find_services(self, ids: Collection[str], /) -> Mapping[str, ServiceState | SwarmsecError]: ...
    def hostname(self, node_id: str, /) -> str: ...


class ServiceReader(Protocol):
    """Looks at services and their tasks."""

    def service(self, service_id: str, /) -> ServiceState: ...
    def services(self) -> Sequence[ServiceState]: ...
    def tasks(self, service_id: str) -> Sequence[TaskState]: ...


class SecretCarrier(ServiceReader, Protocol):
    """Makes Docker secrets and changes the services that carry them."""

    def secret(self, name: str) -> DockerSecret | None: ...
    def secrets(self) -> Sequence[DockerSecret]: ...
    def create_driver_secret(self, name: str, labels: Mapping[str, str], driver: str) -> str: ...
    def create_secret(self, name: str, labels: Mapping[str, str], value: SecretBytes) -> str: ...
    def remove_secret(self, secret_id: str) -> None: ...
    def change_service(self, service_id: str, change: ChangeService) -> None: ...
