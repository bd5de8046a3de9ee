"""Questions to the manager: shared by those who wait, asked anew for whoever comes later, one hanging alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import pytest

from swarmsec.errors import NotFound, SwarmsecError, Unavailable
from swarmsec.services.secrets.delivery_records import CheckedTask, SecretRequest
from swarmsec.wiring.secrets import sharedquestions, taskquestions
from swarmsec.wiring.secrets.taskquestions import TaskQuestions
from tests.unit.swarmsec.wiring.secrets.shoptasks import confirmed

T = TypeVar("T")
GATED = "gated"


def wanted(task: str) -> SecretRequest:
    return SecretRequest(
        secret_name="s",
        secret_labels={},
        service_id="service1",
        service_name="shop_api",
        service_labels={},
        task_id=task,
        task_name="",
        task_image="",
        node_id="node1",
    )


class Manager:
    """Notes what it is asked together; a question about a gated task waits until the gate is opened."""

    def __init__(self) -> None:
        self.questions: list[list[str]] = []
        self.gate = threading.Event()
        self.reached = threading.Event()

    def check(self, requests: Sequence[SecretRequest]) -> Sequence[CheckedTask | SwarmsecError]:
        names = [request.task_id for request in requests]
        self.questions.append(names)
        if any(name.startswith(GATED) for name in names):
            self.reached.set()
            self.gate.wait(30)
        if "away" in names:
            raise Unavailable("the manager is away")
        return [self._found(request) for request in requests]

    def _found(self, request: SecretRequest) -> CheckedTask | SwarmsecError:
        if request.task_id == "unknown":
            return NotFound("the manager knows no task unknown")
        return confirmed(request)

    def warm_up(self) -> None:
        return


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody loses patience, so that the order of questions is known."""
    monkeypatch.setattr(sharedquestions, "PATIENCE_SECONDS", 60.0)


def asking(manager: Manager, work: Callable[[TaskQuestions], Coroutine[Any, Any, T]]) -> T:
    async def run() -> T:
        questions = TaskQuestions(manager)
        await questions.warm_up()
        try:
            return await work(questions)
        finally:
            manager.gate.set()
            questions.close()

    return asyncio.run(run())


async def words(questions: TaskQuestions, names: Sequence[str]) -> list[str]:
    """The task that each found, or why it found none."""
    asked = (questions.check(wanted(name)) for name in names)
    found = await asyncio.gather(*asked, return_exceptions=True)
    return [item.task_id if isinstance(item, CheckedTask) else str(item) for item in found]


def test_who_waits_at_the_same_time_shares_a_question_and_each_has_its_answer() -> None:
    manager = Manager()
    found = asking(manager, lambda questions: words(questions, ["task1", "unknown", "task2", "task1"]))
    assert found == ["task1", "the manager knows no task unknown", "task2", "task1"]
    assert manager.questions == [["task1", "unknown", "task2", "task1"]]


def test_whoever_comes_while_a_question_is_under_way_is_asked_about_after_it(patient: None) -> None:
    """An answer to a question that was asked before a request arrived says nothing about it."""
    manager = Manager()

    async def work(questions: TaskQuestions) -> list[list[str]]:
        first = asyncio.create_task(words(questions, ["gated"]))
        await asyncio.to_thread(manager.reached.wait, 30)
        later = [asyncio.create_task(words(questions, [name])) for name in ("gated", "task1", "task2")]
        for _ in range(5):
            await asyncio.sleep(0)
        assert manager.questions == [["gated"]]
        manager.gate.set()
        return await asyncio.gather(first, *later)

    assert asking(manager, work) == [["gated"], ["gated"], ["task1"], ["task2"]]
    assert manager.questions == [["gated"], ["gated", "task1", "task2"]]


def test_no_question_is_for_more_than_may_share_it_and_they_keep_their_order(
    patient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taskquestions, "MAX_TOGETHER", 3)
    manager, names = Manager(), [f"task{number}" for number in range(8)]
    assert asking(manager, lambda questions: words(questions, names)) == names
    assert manager.questions == [names[:3], names[3:6], names[6:]]


def test_a_question_that_hangs_holds_none_but_those_who_wait_for_it() -> None:
    manager = Manager()

    async def work(questions: TaskQuestions) -> tuple[list[str], bool]:
        hanging = asyncio.create_task(words(questions, ["gated", "with it"]))
        await asyncio.to_thread(manager.reached.wait, 30)
        others = await words(questions, ["task1", "task2"])
        return others, hanging.done()

    assert asking(manager, work) == (["task1", "task2"], False)


def test_no_more_questions_are_under_way_than_connections_and_the_next_one_takes_the_first_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(taskquestions, "MAX_QUESTIONS", 2)
    monkeypatch.setattr(sharedquestions, "PATIENCE_SECONDS", 0.001)
    manager = Manager()

    async def work(questions: TaskQuestions) -> list[list[str]]:
        waiting = []
        for number in range(4):
            waiting.append(asyncio.create_task(words(questions, [f"{GATED}{number}"])))
            while len(manager.questions) < min(number + 1, 2):
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        assert len(manager.questions) == 2
        manager.gate.set()
        return await asyncio.gather(*waiting)

    assert asking(manager, work) == [[f"{GATED}{number}"] for number in range(4)]
    assert manager.questions[2:] == [["gated2", "gated3"]]


def test_a_manager_that_is_away_is_told_to_each_of_its_question_and_to_no_other(patient: None) -> None:
    manager = Manager()

    async def work(questions: TaskQuestions) -> list[str]:
        return [*await words(questions, ["away", "task1"]), *await words(questions, ["task1"])]

    assert asking(manager, work) == ["the manager is away", "the manager is away", "task1"]


def test_whoever_gave_up_is_asked_about_no_more(patient: None) -> None:
    manager = Manager()

    async def work(questions: TaskQuestions) -> list[str]:
        first = asyncio.create_task(words(questions, ["gated"]))
        await asyncio.to_thread(manager.reached.wait, 30)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await questions.check(wanted("late"))
        last = asyncio.create_task(words(questions, ["task1"]))
        await asyncio.sleep(0)
        manager.gate.set()
        return [*await first, *await last]

    assert asking(manager, work) == ["gated", "task1"]
    assert manager.questions == [["gated"], ["task1"]]
