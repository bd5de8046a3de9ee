"""Waiting until a service's tasks are what its specification says."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from swarmsec.errors import Unavailable
from swarmsec.services.secrets.delivery_ports import ServiceReader
from swarmsec.services.secrets.service_records import RUNNING, ServiceState, TaskState

POLL_SECONDS: Final = 0.25
_ENDED: Final = frozenset({"paused", "rollback_started", "rollback_paused", "rollback_completed"})
_STUCK: Final = frozenset({"paused", "rollback_paused"})

Progress = Callable[[int, int], None]
"""Told how many tasks run as they shall, and how many there are to be."""


class TasksNotRunning(Unavailable):
    """Docker ended the update, or the tasks did not come up in time; Docker itself answers."""


def wait_for_tasks(
    reader: ServiceReader,
    service_id: str,
    secret_id: str | None,
    *,
    seconds: float,
    on_progress: Progress,
    is_return: bool = False,
) -> None:
    """Wait until every task that shall run runs, made from the newest specification.

    Args:
        reader: the manager.
        service_id: of the service.
        secret_id: the Docker secret that each must use; None for whatever.
        seconds: how long to wait.
        on_progress: told whenever it was looked.
        is_return: whether the specification before is wanted back, so that Docker's own rollback is no failure.

    Raises:
        TasksNotRunning: Docker rolled the update back or stopped it, or time is up.
        Unavailable: the manager does not answer.
        NotFound: the service went away.
    """
    deadline = time.monotonic() + seconds
    last_error = ""
    failing, settled = (_STUCK, {"", "completed", "rollback_completed"}) if is_return else (_ENDED, {"", "completed"})
    while True:
        service = reader.service(service_id)
        tasks = reader.tasks(service_id)
        newest = [task for task in tasks if task.force_update == force_of(service)]
        wanted = [task for task in tasks if task.desired_state in {RUNNING, "ready"}]
        running = [task for task in newest if _runs_with(task, secret_id)]
        last_error = next((task.error for task in newest if task.error), last_error)
        total = max(len(wanted), replicas_of(service))
        on_progress(len(running), total)
        if service.update_state in failing:
            raise _not_running(service, f"Docker ended the update: {service.update_state}", last_error)
        if len(running) == total == max(len(wanted), len(running)) and service.update_state in settled:
            return
        if time.monotonic() >= deadline:
            raise _not_running(service, f"{len(running)} of {total} tasks run with it", last_error)
        time.sleep(POLL_SECONDS)


def replicas_of(service: ServiceState) -> int:
    """How many tasks a replicated service is to have; 0 for other kinds, whose tasks are counted."""
    mode = service.spec.get("Mode")
    replicated = mode.get("Replicated") if isinstance(mode, dict) else None
    count = replicated.get("Replicas") if isinstance(replicated, dict) else None
    return count if isinstance(count, int) else 0


def force_of(service: ServiceState) -> int:
    """The counter in a specification that makes all tasks anew."""
    template = service.spec.get("TaskTemplate")
    force = template.get("ForceUpdate") if isinstance(template, dict) else None
    return force if isinstance(force, int) else 0


def _runs_with(task: TaskState, secret_id: str | None) -> bool:
    has_it = secret_id is None or secret_id in {reference.secret_id for reference in task.secrets}
    return task.state == RUNNING and task.desired_state == RUNNING and has_it


def _not_running(service: ServiceState, what: str, error: str) -> TasksNotRunning:
    said = f"; the last task said: {error}" if error else ""
    return TasksNotRunning(
        f"service {service.name}: {what}{said}",
        hint="why a task got no secret: swarmsec secrets events",
    )
