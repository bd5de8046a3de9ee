"""Holding a secret request against the manager: the task, its service, and where it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from swarmsec.errors import NotFound, UsageProblem
from swarmsec.services.deliver_secret import checked_labels
from swarmsec.services.delivery_ports import TaskReader
from swarmsec.services.delivery_records import CheckedTask, SecretRequest

MAX_HOSTNAMES: Final = 10_000


class ManagerTaskChecker:
    """Answers the port ``services.delivery_ports.TaskChecker``.

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

    def check(self, request: SecretRequest) -> CheckedTask:
        """Find the task that a request names.

        Raises:
            NotFound: the manager knows no such task or service.
            UsageProblem: the task does not use this secret, or its service has other labels.
            Unavailable: the manager does not answer.
        """
        if not request.task_id:
            raise UsageProblem("expected a task in the request; volumes get no secrets from here")
        task = self._reader.task(request.task_id)
        if request.secret_name not in {reference.secret_name for reference in task.secrets}:
            raise UsageProblem(f"task {task.id} does not use the secret {request.secret_name!r:.80}")
        service = self._reader.service(task.service_id)
        labels = checked_labels(request, dict(service.labels), dict(service.previous_labels))
        return CheckedTask(
            task_id=task.id,
            service_id=service.id,
            service_name=service.name,
            service_labels=labels,
            image=task.image,
            node_id=task.node_id,
            hostname=self._hostname(task.node_id),
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
