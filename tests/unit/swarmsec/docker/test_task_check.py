"""A request held against the manager: what must be so, and what is asked how often."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pytest

from swarmsec.docker.task_check import ManagerTaskChecker
from swarmsec.errors import NotFound, SwarmsecError, Unavailable, UsageProblem
from swarmsec.services.secrets.delivery_ports import AnswerTooLong
from swarmsec.services.secrets.delivery_records import CheckedTask, SecretRequest
from swarmsec.services.secrets.service_records import SecretReference, ServiceState, TaskState

REFERENCE = SecretReference(secret_id="s1", secret_name="team.app.db", target="db", uid="0", gid="0", mode=0o400)
SERVICE = ServiceState(
    id="service1",
    version=3,
    name="shop_api",
    labels={"v": "2"},
    previous_labels={"v": "1"},
    image="busybox",
    secrets=(REFERENCE,),
    update_state="",
    update_message="",
    spec={},
)
TASK = TaskState(
    id="task1",
    service_id="service1",
    node_id="node1",
    state="assigned",
    desired_state="running",
    image="busybox:1",
    secrets=(REFERENCE,),
    force_update=0,
    error="",
)
REQUEST = SecretRequest(
    secret_name="team.app.db",
    secret_labels={},
    service_id="service1",
    service_name="whatever",
    service_labels={"v": "2"},
    task_id="task1",
    task_name="",
    task_image="lie",
    node_id="node1",
)


class OneTask:
    """A manager with one task, or with more of its kind."""

    def __init__(self, *tasks: TaskState, room: int = 100) -> None:
        self.asked: list[str] = []
        self.questions: list[set[str]] = []
        self.is_away = False
        self._tasks = {task.id: task for task in (TASK, *tasks)}
        self._room = room

    def find_tasks(self, ids: Collection[str]) -> dict[str, TaskState | SwarmsecError]:
        if self.is_away:
            raise Unavailable("the Docker Engine did not answer")
        self.questions.append(set(ids))
        if len(ids) > self._room:
            raise AnswerTooLong("expected at most 8 bytes, got more")
        return {name: task for name, task in self._tasks.items() if name in ids}

    def find_services(self, ids: Collection[str]) -> dict[str, ServiceState | SwarmsecError]:
        known: dict[str, ServiceState | SwarmsecError] = {SERVICE.id: SERVICE, "broken": Unavailable("no such form")}
        return {name: service for name, service in known.items() if name in ids}

    def hostname(self, node_id: str) -> str:
        self.asked.append(node_id)
        if node_id != "node1":
            raise NotFound("no such node")
        return "m1"


def check(manager: OneTask, request: SecretRequest) -> CheckedTask:
    (found,) = ManagerTaskChecker(lambda: manager).check([request])
    if isinstance(found, SwarmsecError):
        raise found
    return found


def test_what_the_manager_says_counts_and_not_what_the_request_claims() -> None:
    found = check(OneTask(), REQUEST)
    assert (found.service_name, found.image, found.hostname) == ("shop_api", "busybox:1", "m1")
    assert found.service_labels == {"v": "2"}


def test_a_task_of_the_specification_before_has_its_labels() -> None:
    assert check(OneTask(), replace(REQUEST, service_labels={"v": "1"})).service_labels == {"v": "1"}


@pytest.mark.parametrize(
    ("request_", "error", "match"),
    [
        (replace(REQUEST, task_id=""), UsageProblem, "expected a task"),
        (replace(REQUEST, task_id="task2"), NotFound, "knows no task"),
        (replace(REQUEST, secret_name="other"), UsageProblem, "does not use the secret"),
        (replace(REQUEST, service_labels={"v": "3"}), UsageProblem, "not those of the service"),
        (replace(REQUEST, service_labels={}), UsageProblem, "not those of the service"),
    ],
)
def test_what_is_not_so_is_refused(request_: SecretRequest, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        check(OneTask(), request_)


def test_a_manager_that_is_away_is_told_and_host_names_are_asked_once() -> None:
    manager = OneTask()
    checker = ManagerTaskChecker(lambda: manager)
    checker.warm_up()
    checker.check([REQUEST])
    checker.check([REQUEST])
    assert manager.asked == ["none", "node1"]
    manager.is_away = True
    with pytest.raises(Unavailable):
        checker.check([REQUEST])


def test_many_are_asked_about_at_once_and_each_has_its_own_answer() -> None:
    lost = replace(TASK, id="task3", service_id="gone")
    odd = replace(TASK, id="task4", service_id="broken")
    manager = OneTask(replace(TASK, id="task2"), lost, odd)
    names = ("task1", "task2", "task3", "task4", "task5", "", "task1")
    found = ManagerTaskChecker(lambda: manager).check([replace(REQUEST, task_id=name) for name in names])
    assert manager.questions == [{"task1", "task2", "task3", "task4", "task5"}]
    assert [item.task_id if isinstance(item, CheckedTask) else str(item) for item in found] == [
        "task1",
        "task2",
        "the manager knows no service gone",
        "no such form",
        "the manager knows no task task5",
        "expected a task in the request; volumes get no secrets from here",
        "task1",
    ]


def test_who_asks_for_too_much_is_alone_with_it() -> None:
    manager = OneTask(*(replace(TASK, id=f"task{number}") for number in range(2, 8)), room=2)
    requests = [replace(REQUEST, task_id=f"task{number}") for number in range(1, 8)]
    found = ManagerTaskChecker(lambda: manager).check(requests)
    assert [item.task_id for item in found if isinstance(item, CheckedTask)] == [item.task_id for item in requests]
    (alone,) = ManagerTaskChecker(lambda: OneTask(room=0)).check([REQUEST])
    assert isinstance(alone, AnswerTooLong)
