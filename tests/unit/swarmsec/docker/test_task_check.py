"""A request held against the manager: what must be so, and what is asked how often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from swarmsec.docker.task_check import ManagerTaskChecker
from swarmsec.errors import NotFound, Unavailable, UsageProblem
from swarmsec.services.delivery_records import SecretRequest
from swarmsec.services.service_records import SecretReference, ServiceState, TaskState

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
    """A manager with one task."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.is_away = False

    def service(self, id_or_name: str) -> ServiceState:
        return SERVICE

    def services(self) -> Sequence[ServiceState]:
        return [SERVICE]

    def task(self, task_id: str) -> TaskState:
        if self.is_away:
            raise Unavailable("the Docker Engine did not answer")
        if task_id != TASK.id:
            raise NotFound(f"no task {task_id}")
        return TASK

    def tasks(self, service_id: str) -> Sequence[TaskState]:
        return [TASK]

    def hostname(self, node_id: str) -> str:
        self.asked.append(node_id)
        if node_id != "node1":
            raise NotFound("no such node")
        return "m1"


def test_what_the_manager_says_counts_and_not_what_the_request_claims() -> None:
    found = ManagerTaskChecker(OneTask).check(REQUEST)
    assert (found.service_name, found.image, found.hostname) == ("shop_api", "busybox:1", "m1")
    assert found.service_labels == {"v": "2"}


def test_a_task_of_the_specification_before_has_its_labels() -> None:
    assert ManagerTaskChecker(OneTask).check(replace(REQUEST, service_labels={"v": "1"})).service_labels == {"v": "1"}


@pytest.mark.parametrize(
    ("request_", "error", "match"),
    [
        (replace(REQUEST, task_id=""), UsageProblem, "expected a task"),
        (replace(REQUEST, task_id="task2"), NotFound, "no task"),
        (replace(REQUEST, secret_name="other"), UsageProblem, "does not use the secret"),
        (replace(REQUEST, service_labels={"v": "3"}), UsageProblem, "not those of the service"),
        (replace(REQUEST, service_labels={}), UsageProblem, "not those of the service"),
    ],
)
def test_what_is_not_so_is_refused(request_: SecretRequest, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        ManagerTaskChecker(OneTask).check(request_)


def test_a_manager_that_is_away_is_told_and_host_names_are_asked_once() -> None:
    manager = OneTask()
    checker = ManagerTaskChecker(lambda: manager)
    checker.warm_up()
    checker.check(REQUEST)
    checker.check(REQUEST)
    assert manager.asked == ["none", "node1"]
    manager.is_away = True
    with pytest.raises(Unavailable):
        checker.check(REQUEST)
