"""Waiting until a service's tasks are what its specification says."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from swarmsec.errors import Unavailable
from swarmsec.services.secrets.delivery_ports import ServiceReader
from swarmsec.services.secrets.service_records import RUNNING, ServiceState, TaskState

POLL_SECONDS: Final = 0.25
_ENDED: Final = frozenset({"paused", "rollback_started", "rollback_paused", "rollback_completed"})
_STUCK: Final = frozenset({"paused", "rollback_paused"})
_DEFAULT_MONITOR: Final = 5.0
"""For how many seconds Docker watches a new task where the service does not say."""

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

    Docker ends an update whose tasks fail, unless the service puts up with some that do. Of such a service the same
    tasks must be seen for as long as Docker watches a new one, or those that start and fail in turn would pass.

    Args:
        reader: the manager.
        service_id: of the service.
        secret_id: the Docker secret that each must use; None for whatever.
        seconds: how long to wait until all run; those that do then are watched for as long as they have to be.
        on_progress: told whenever it was looked.
        is_return: whether the specification before is wanted back, so that Docker's own rollback is no failure.

    Raises:
        TasksNotRunning: Docker rolled the update back or stopped it, or time is up.
        Unavailable: the manager does not answer.
        NotFound: the service went away.
    """
    deadline = time.monotonic() + seconds
    failing, settled = (_STUCK, {"", "completed", "rollback_completed"}) if is_return else (_ENDED, {"", "completed"})
    last_error = ""
    seen, since = frozenset[str](), 0.0
    while True:
        look = _look(reader, service_id, secret_id)
        now = time.monotonic()
        last_error = look.error or last_error
        if look.running != seen:
            seen, since = look.running, now
        on_progress(len(seen), look.total)
        if look.service.update_state in failing:
            raise _not_running(look.service, f"Docker ended the update: {look.service.update_state}", last_error)
        is_whole = look.has_all and look.service.update_state in settled
        watched = _watched_seconds(look.service)
        if is_whole and now - since >= watched:
            return
        if now >= deadline + (watched + POLL_SECONDS if is_whole else 0):
            yet = f", but not the same ones for {watched:g} s" if is_whole else ""
            raise _not_running(look.service, f"{len(seen)} of {look.total} tasks run with it{yet}", last_error)
        time.sleep(POLL_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """A service and its tasks at one moment; ``error`` is what one of the newest said."""

    service: ServiceState
    running: frozenset[str]
    wanted: int
    error: str

    @property
    def total(self) -> int:
        """How many tasks there are to be."""
        return max(self.wanted, replicas_of(self.service))

    @property
    def has_all(self) -> bool:
        """Whether all that are to run do, and no others are to."""
        return len(self.running) == self.total == max(self.wanted, len(self.running))


def _look(reader: ServiceReader, service_id: str, secret_id: str | None) -> _Look:
    service = reader.service(service_id)
    tasks = reader.tasks(service_id)
    newest = [task for task in tasks if task.force_update == force_of(service)]
    return _Look(
        service=service,
        running=frozenset(task.id for task in newest if _runs_with(task, secret_id)),
        wanted=sum(task.desired_state in {RUNNING, "ready"} for task in tasks),
        error=next((task.error for task in newest if task.error), ""),
    )


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


def _watched_seconds(service: ServiceState) -> float:
    """For how long the same tasks must run: not at all where Docker lets none of them fail."""
    update = service.spec.get("UpdateConfig")
    if not isinstance(update, dict):
        return 0.0
    ratio, monitor = update.get("MaxFailureRatio"), update.get("Monitor")
    lets_fail = update.get("FailureAction") == "continue" or (isinstance(ratio, int | float) and ratio > 0)
    if not lets_fail:
        return 0.0
    return monitor / 1e9 if isinstance(monitor, int) and monitor > 0 else _DEFAULT_MONITOR


def _runs_with(task: TaskState, secret_id: str | None) -> bool:
    has_it = secret_id is None or secret_id in {reference.secret_id for reference in task.secrets}
    return task.state == RUNNING and task.desired_state == RUNNING and has_it


def _not_running(service: ServiceState, what: str, error: str) -> TasksNotRunning:
    said = f"; the last task said: {error}" if error else ""
    return TasksNotRunning(
        f"service {service.name}: {what}{said}",
        hint="why a task got no secret: swarmsec secrets events",
    )
