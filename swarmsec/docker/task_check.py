"""Holding secret requests against the manager: the task, its service, and where it runs.

Requests that wait at the same time share a question. What is found is used for those who waited when it was asked, and
never again: an answer is as new for each of them as if each had asked alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, TypeVar

from swarmsec.errors import NotFound, SwarmsecError, UsageProblem
from swarmsec.services.secrets.deliver_secret import checked_labels
from swarmsec.services.secrets.delivery_ports import AnswerTooLong, TaskReader
from swarmsec.services.secrets.delivery_records import CheckedTask, SecretRequest
from swarmsec.services.secrets.service_records import ServiceState, TaskState

T = TypeVar("T")
MAX_HOSTNAMES: Final = 10_000


class ManagerTaskChecker:
    """Answers the port ``services.secrets.delivery_ports.TaskChecker``.

    A node's host name is asked once: it is what the node calls itself, and no check hangs on its being the newest.

    Args:
        open_reader: opens the manager; each thread that checks has one of its own.
    """

    def __init__(self, open_reader: Callable[[], TaskReader]) -> None:
        self._open_reader = open_reader
        self._opened = threading.local()
        self._hostnames: dict[str, str] = {}

    @property
    def _reader(self) -> TaskReader:
        reader: TaskReader | None = getattr(self._opened, "reader", None)
        if reader is None:
            reader = self._opened.reader = self._open_reader()
        return reader

    def warm_up(self) -> None:
        """Load what the first check would have to load, and open this thread's connection.

        Raises:
            Unavailable: the manager does not answer yet.
        """
        with suppress(NotFound):
            self._reader.hostname("none")

    def check(self, requests: Sequence[SecretRequest]) -> Sequence[CheckedTask | SwarmsecError]:
        """Find the tasks that requests name: one question for all tasks, one for all of their services.

        Returns:
            for each request, in order, its task, or why it has none: ``NotFound`` for a task or service that the
            manager does not know, ``UsageProblem`` where the task does not use this secret or its service has other
            labels.

        Raises:
            Unavailable: the manager does not answer.
        """
        try:
            return self._check_together(requests)
        except (AnswerTooLong, UsageProblem) as error:
            if len(requests) == 1:
                return [error]
            # Some ask for much; what they do must not be the end of the others.
            middle = len(requests) // 2
            return [*self.check(requests[:middle]), *self.check(requests[middle:])]

    def _check_together(self, requests: Sequence[SecretRequest]) -> Sequence[CheckedTask | SwarmsecError]:
        ids = {request.task_id for request in requests if request.task_id}
        tasks = self._reader.find_tasks(ids) if ids else {}
        of_service = {task.service_id for task in tasks.values() if isinstance(task, TaskState)} - {""}
        services = self._reader.find_services(of_service) if of_service else {}
        return [self._checked(request, tasks, services) for request in requests]

    def _checked(
        self,
        request: SecretRequest,
        tasks: Mapping[str, TaskState | SwarmsecError],
        services: Mapping[str, ServiceState | SwarmsecError],
    ) -> CheckedTask | SwarmsecError:
        try:
            task = _task_of(request, tasks)
            service = _known(services, "service", task.service_id)
            labels = checked_labels(request, dict(service.labels), dict(service.previous_labels))
            hostname = self._hostname(task.node_id)
        except SwarmsecError as error:
            return error
        return CheckedTask(
            task_id=task.id,
            service_id=service.id,
            service_name=service.name,
            service_labels=labels,
            image=task.image,
            node_id=task.node_id,
            hostname=hostname,
        )

    def _hostname(self, node_id: str) -> str:
        known = self._hostnames.get(node_id)
        if known is None:
            try:
                known = self._reader.hostname(node_id)
            except NotFound:
                return ""
            if len(self._hostnames) < MAX_HOSTNAMES:
                self._hostnames[node_id] = known
        return known


def _task_of(request: SecretRequest, tasks: Mapping[str, TaskState | SwarmsecError]) -> TaskState:
    if not request.task_id:
        raise UsageProblem("expected a task in the request; volumes get no secrets from here")
    task = _known(tasks, "task", request.task_id)
    if request.secret_name not in {reference.secret_name for reference in task.secrets}:
        raise UsageProblem(f"task {task.id} does not use the secret {request.secret_name!r:.80}")
    return task


def _known(found: Mapping[str, T | SwarmsecError], kind: str, object_id: str) -> T:
    item = found.get(object_id)
    if item is None:
        raise NotFound(f"the manager knows no {kind} {object_id}")
    if isinstance(item, SwarmsecError):
        raise item
    return item
