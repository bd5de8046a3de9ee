"""When a service counts as settled: its tasks run with what they shall, and stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from swarmsec.services.secrets.service_records import RUNNING, SecretReference, ServiceState, TaskState
from swarmsec.wiring.secrets import settling
from swarmsec.wiring.secrets.settling import POLL_SECONDS, TasksNotRunning, wait_for_tasks

MONITOR_SECONDS = 3 * POLL_SECONDS
LENIENT = {"MaxFailureRatio": 0.5, "FailureAction": "rollback", "Monitor": int(MONITOR_SECONDS * 1e9)}


@dataclass
class Clock:
    """Goes on while somebody sleeps."""

    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Manager:
    """A service of two tasks: those of each look in turn, then those of the last one for ever."""

    clock: Clock
    update: Mapping[str, Any] | None
    looks: list[tuple[str, str]]
    seen: list[tuple[float, tuple[str, str]]] = field(default_factory=list)

    def service(self, service_id: str) -> ServiceState:
        return ServiceState(
            id=service_id,
            version=1,
            name="shop",
            labels={},
            previous_labels={},
            image="busybox",
            secrets=(),
            update_state="completed",
            update_message="",
            spec={"UpdateConfig": self.update, "Mode": {"Replicated": {"Replicas": 2}}},
        )

    def services(self) -> Sequence[ServiceState]:
        return [self.service("s")]

    def tasks(self, service_id: str) -> Sequence[TaskState]:
        names = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        self.seen.append((self.clock.now, names))
        return [_running(name) for name in names]


def _running(name: str) -> TaskState:
    return TaskState(
        id=name,
        service_id="s",
        node_id="n",
        state=RUNNING,
        desired_state=RUNNING,
        image="busybox",
        secrets=(SecretReference(secret_id="wanted", secret_name="shop", target="shop", uid="0", gid="0", mode=0o400),),
        force_update=0,
        error="",
    )


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(settling, "time", clock)
    return clock


def _wait(manager: Manager, seconds: float) -> None:
    wait_for_tasks(manager, "s", "wanted", seconds=seconds, on_progress=lambda running, total: None)


@pytest.mark.parametrize("update", [None, {}, {"MaxFailureRatio": 0, "FailureAction": "pause", "Monitor": 10**12}])
def test_where_docker_lets_no_task_fail_its_word_is_taken(clock: Clock, update: Mapping[str, Any] | None) -> None:
    manager = Manager(clock, update, [("a", "b")])
    _wait(manager, 60)
    assert len(manager.seen) == 1


@pytest.mark.parametrize("update", [LENIENT, {**LENIENT, "MaxFailureRatio": 0, "FailureAction": "continue"}])
def test_where_tasks_may_fail_the_same_ones_must_stay(clock: Clock, update: Mapping[str, Any]) -> None:
    manager = Manager(clock, update, [("a", "b"), ("a", "c"), ("d", "c")])
    _wait(manager, 60)
    assert [names for _, names in manager.seen] == [("a", "b"), ("a", "c")] + [("d", "c")] * 4
    assert manager.seen[-1][0] - manager.seen[2][0] == MONITOR_SECONDS


def test_docker_s_own_time_counts_where_the_service_names_none(clock: Clock) -> None:
    manager = Manager(clock, {"MaxFailureRatio": 0.1}, [("a", "b")])
    _wait(manager, 60)
    assert manager.seen[-1][0] - manager.seen[0][0] == 5


def test_tasks_that_run_when_time_is_up_are_watched_to_the_end(clock: Clock) -> None:
    manager = Manager(clock, LENIENT, [("a", "b")])
    _wait(manager, 0)
    assert manager.seen[-1][0] - manager.seen[0][0] == MONITOR_SECONDS


def test_tasks_that_start_and_fail_in_turn_never_count(clock: Clock) -> None:
    manager = Manager(clock, LENIENT, [(f"a{number}", f"b{number}") for number in range(1_000)])
    with pytest.raises(TasksNotRunning, match=r"2 of 2 tasks run with it, but not the same ones for 0\.75 s"):
        _wait(manager, 60)
    assert manager.seen[-1][0] - manager.seen[0][0] == 60 + MONITOR_SECONDS + POLL_SECONDS
