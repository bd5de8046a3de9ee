"""What delivering secrets needs of a Docker Engine that manages the Swarm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from swarmsec.secretbytes import SecretBytes
from swarmsec.services.delivery_records import CheckedTask, SecretRequest
from swarmsec.services.service_records import DockerSecret, ServiceState, TaskState

ChangeService = Callable[[ServiceState, dict[str, Any]], dict[str, Any]]
"""The present state and a copy of its specification in, the whole new one out; asked again if somebody was faster."""


class TaskChecker(Protocol):
    """Holds a request of the engine against the manager.

    Raises ``NotFound`` for a task or service that is not there, ``UsageProblem`` for claims that are not so,
    ``Unavailable`` where the manager does not answer in time.
    """

    def check(self, request: SecretRequest) -> CheckedTask: ...
    def warm_up(self) -> None: ...


class TaskReader(Protocol):
    """Looks at one task, its service and its node."""

    def service(self, service_id: str, /) -> ServiceState: ...
    def task(self, task_id: str, /) -> TaskState: ...
    def hostname(self, node_id: str, /) -> str: ...


class ServiceReader(TaskReader, Protocol):
    """Looks at services and their tasks."""

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
