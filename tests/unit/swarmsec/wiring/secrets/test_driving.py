"""The driver over a home: answers, refusals with their entries, and half a second whatever hangs behind it."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from swarmsec.audit.actions import Action
from swarmsec.audit.entry import Actor, ObjectRef
from swarmsec.docker.secret_driver import parse_secret_request
from swarmsec.errors import NotFound, SwarmsecError, Unavailable
from swarmsec.services.requester import Requester
from swarmsec.services.secrets.attach_secret import DRIVER_MODE
from swarmsec.services.secrets.delivery_records import CheckedTask, SecretRequest
from swarmsec.services.trust.judge_image import ImageJudge
from swarmsec.storage.groupwriter import GroupWriter
from swarmsec.storage.transaction import Transaction
from swarmsec.storage.writingturn import WritingTurn
from swarmsec.wiring.secrets import driving
from swarmsec.wiring.secrets.deciding import HomeDecisions
from swarmsec.wiring.secrets.driving import DriverParts, SecretDriver
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.wiring.secrets.secretworld import NAME, World
from tests.unit.swarmsec.wiring.secrets.shoptasks import confirmed

CONTRACT_SECONDS = 0.5
ANSWER_SECONDS = driving.ANSWER_SECONDS
LATE_SECONDS = 10.0
"""How late a machine under load may be; what hangs does so much longer than this."""
BODY = json.dumps(
    {
        "SecretName": "team.app.db",
        "SecretLabels": {"io.swarmsec.name": NAME.text},
        "ServiceID": "idshopapi",
        "ServiceName": "shop_api",
        "TaskID": "task1",
        "NodeID": "node1",
    }
).encode()

ANY_REQUEST = parse_secret_request(BODY)


class Checker:
    """Says of every task what the test wants to hear."""

    def __init__(self, check: Callable[[SecretRequest], None] = lambda request: None) -> None:
        self._check = check

    def check(self, requests: Sequence[SecretRequest]) -> Sequence[CheckedTask | SwarmsecError]:
        for request in requests:
            self._check(request)
        return [confirmed(request) for request in requests]

    def warm_up(self) -> None:
        self._check(ANY_REQUEST)


class HangingWriter:
    """A store whose disk does not answer."""

    async def write(self, unit: object) -> Any:
        await asyncio.sleep(60)


def decisions(world: World, writer: Any) -> HomeDecisions:
    requester = Requester(actor=Actor(type="service", id="driver"))
    return HomeDecisions(world.home.store, writer, world.keys, ImageJudge(), requester)


def answers(world: World, checker: Checker, bodies: list[bytes], *, writer: Any = None) -> tuple[list[Any], list[str]]:
    """Ask all at once."""
    said: list[str] = []

    async def run() -> list[Any]:
        group = GroupWriter(world.home.store)
        group.start()
        parts = DriverParts(
            decisions=decisions(world, writer or group),
            checker=checker,
            load=lambda: None,
            report=said.append,
        )
        driver = SecretDriver(parts)
        try:
            return [json.loads(answer) for answer in await asyncio.gather(*map(driver.answer, bodies))]
        finally:
            await driver.close()
            group.close()

    return asyncio.run(run()), said


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine under load refuses nothing for being slow, unless a test is about that."""
    monkeypatch.setattr(driving, "ANSWER_SECONDS", 30.0)
    monkeypatch.setattr(driving, "RECORD_SECONDS", 60.0)


@pytest.fixture
def attached(world: World) -> World:
    """shop_api has the secret; its id is as the engine writes ids."""
    item = world.swarm.objects.pop("id-shop_api")
    world.swarm.objects["idshopapi"] = item | {"ID": "idshopapi"}
    world.attach("shop_api", DRIVER_MODE)
    return world


def deliveries(world: World) -> list[str]:
    return [entry["outcome"] for entry in world.entries("secret.deliver")]


def test_a_value_is_answered_for_one_task_alone_after_its_entry(attached: World) -> None:
    found, said = answers(attached, Checker(), [BODY])
    assert found == [{"Value": base64.b64encode(b"old").decode(), "DoNotReuse": True}]
    assert (deliveries(attached), said) == (["success"], [])


@pytest.mark.parametrize("error", [NotFound("no task task1"), Unavailable("the manager is away")])
def test_what_the_manager_says_against_it_is_told_and_on_record(attached: World, error: SwarmsecError) -> None:
    def refuse(request: SecretRequest) -> None:
        raise error

    found, said = answers(attached, Checker(refuse), [BODY])
    assert found == [{"Err": f"swarmsec: {error}"}]
    assert str(error) in said[0]
    assert deliveries(attached) == ["denied"]


def test_a_defect_is_a_refusal_without_its_words(attached: World) -> None:
    def fail(request: SecretRequest) -> None:
        raise RuntimeError("marker")

    (found,), said = answers(attached, Checker(fail), [BODY])
    assert "Value" not in found
    assert "marker" not in found["Err"] + "".join(said)


@pytest.mark.parametrize("behind", ["manager", "store"])
def test_whatever_hangs_behind_it_the_answer_is_a_refusal_in_time(
    attached: World, behind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine holds its Swarm's store meanwhile; the contract says half a second."""
    monkeypatch.setattr(driving, "ANSWER_SECONDS", ANSWER_SECONDS)
    ended = threading.Event()

    def hang(request: SecretRequest) -> None:
        ended.wait(30)

    checker = Checker(hang) if behind == "manager" else Checker()

    hanging: Any = HangingWriter()

    async def timed() -> tuple[bytes, float]:
        parts = DriverParts(
            decisions=decisions(attached, hanging),
            checker=checker,
            load=lambda: None,
            report=lambda line: None,
        )
        driver = SecretDriver(parts)
        began = time.monotonic()
        answer = await driver.answer(BODY)
        took = time.monotonic() - began
        ended.set()
        await driver.close()
        return answer, took

    answer, took = asyncio.run(timed())
    assert json.loads(answer) == {"Err": "swarmsec: the manager or the store did not answer in time"}
    assert ANSWER_SECONDS < CONTRACT_SECONDS
    assert took < CONTRACT_SECONDS + LATE_SECONDS


def test_more_requests_than_may_wait_are_refused_at_once(attached: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driving, "MAX_WAITING", 3)
    found, _ = answers(attached, Checker(), [BODY] * 5)
    assert ["Value" in answer for answer in found] == [True] * 3 + [False] * 2
    assert "too many requests" in found[-1]["Err"]
    assert sorted(deliveries(attached)) == ["denied"] * 2 + ["success"] * 3


def test_what_is_no_request_is_refused(attached: World) -> None:
    found, said = answers(attached, Checker(), [b"[]"])
    assert "Err" in found[0]
    assert "refused a request" in said[0]
    assert deliveries(attached) == ["denied"]


def test_a_manager_that_hangs_leaves_the_refusal_on_record(attached: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def hang(request: SecretRequest) -> None:
        ended.wait(10)

    monkeypatch.setattr(driving, "ANSWER_SECONDS", 0.05)
    try:
        found, _ = answers(attached, Checker(hang), [BODY])
    finally:
        ended.set()

    assert found == [{"Err": "swarmsec: the manager or the store did not answer in time"}]
    (entry,) = attached.entries("secret.deliver")
    assert (entry["outcome"], "did not answer in time" in entry["reason"]) == ("denied", True)


def test_a_manager_that_is_away_at_the_start_is_said_and_no_failure(attached: World) -> None:
    def away(request: SecretRequest) -> None:
        raise Unavailable("the Docker Engine is away")

    said: list[str] = []
    hanging: Any = HangingWriter()
    parts = DriverParts(
        decisions=decisions(attached, hanging),
        checker=Checker(away),
        load=lambda: None,
        report=said.append,
    )

    async def run() -> None:
        driver = SecretDriver(parts)
        await driver.warm_up()
        await driver.close()

    asyncio.run(run())
    assert said == ["the Docker Engine is away; tasks get no secrets until it does"]


def late_answer(world: World, writer: GroupWriter, go_on: Callable[[], None]) -> tuple[dict[str, Any], list[str]]:
    """The answer while the store is kept from going on, and what was said by the time that it has gone on."""
    said: list[str] = []

    async def run() -> dict[str, Any]:
        parts = DriverParts(
            decisions=decisions(world, writer), checker=Checker(), load=lambda: None, report=said.append
        )
        driver = SecretDriver(parts)
        answer: dict[str, Any] = json.loads(await driver.answer(BODY))
        go_on()
        await driver.close()
        return answer

    return asyncio.run(run()), said


@pytest.fixture
def group(attached: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[GroupWriter]:
    """A writer behind a driver with little patience to answer."""
    monkeypatch.setattr(driving, "ANSWER_SECONDS", 3.0)
    writer = GroupWriter(attached.home.store)
    writer.start()
    yield writer
    writer.close()


def forget_attachment(transaction: Transaction) -> None:
    transaction.attachments.remove(NAME.text, "idshopapi")
    transaction.log(OPERATOR.event(Action.SECRET_DETACH, ObjectRef(type="secret", name=NAME.text)))


LATE = "the manager or the store did not answer in time"


def hang_commits(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let the disk hang in the midst of each commit, until what it returns is called."""
    goes_on, commit = threading.Event(), WritingTurn._commit

    def hang(turn: WritingTurn) -> None:
        goes_on.wait(30)
        commit(turn)

    monkeypatch.setattr(WritingTurn, "_commit", hang)
    return goes_on.set


def test_what_comes_to_its_turn_too_late_is_on_record_once_as_refused(
    attached: World, group: GroupWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process holds the store meanwhile."""
    monkeypatch.setattr(driving, "ANSWER_SECONDS", 2.0)
    with ExitStack() as held:
        held.enter_context(attached.home.store.exclusive())
        answer, _ = late_answer(attached, group, held.close)

    assert answer == {"Err": f"swarmsec: {LATE}"}
    (entry,) = attached.entries("secret.deliver")
    assert (entry["outcome"], entry["reason"], entry["fields"]["kind"]) == (
        "denied",
        "the store did not answer in time",
        "late",
    )


def test_a_delivery_whose_entry_came_to_disk_too_late_is_taken_back(
    attached: World, group: GroupWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk hangs in the midst of the commit; nobody can tell any more what it keeps."""
    answer, said = late_answer(attached, group, hang_commits(monkeypatch))

    assert answer == {"Err": f"swarmsec: {LATE}"}
    given, taken = attached.entries("secret.deliver")
    assert (given["outcome"], taken["outcome"]) == ("success", "denied")
    assert taken["fields"]["takes_back"] == given["seq"]
    assert taken["reason"] == f"{LATE}; what entry {given['seq']} says was delivered did not leave"
    assert len(said) == 1


def test_a_refusal_that_is_late_stands_alone_with_its_own_reason(
    attached: World, group: GroupWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    attached.home.store.write(forget_attachment)
    answer, _ = late_answer(attached, group, hang_commits(monkeypatch))

    assert answer == {"Err": f"swarmsec: {LATE}"}
    (entry,) = attached.entries("secret.deliver")
    assert entry["fields"]["kind"] == "policy"


def test_a_store_that_fails_late_leaves_the_refusal_as_late(
    attached: World, group: GroupWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on, commit = threading.Event(), WritingTurn._commit

    def fail_once(turn: WritingTurn) -> None:
        goes_on.wait(30)
        monkeypatch.setattr(WritingTurn, "_commit", commit)
        turn._drop()
        raise Unavailable("the disk is full")

    monkeypatch.setattr(WritingTurn, "_commit", fail_once)
    answer, _ = late_answer(attached, group, goes_on.set)

    assert answer == {"Err": f"swarmsec: {LATE}"}
    (entry,) = attached.entries("secret.deliver")
    assert (entry["outcome"], entry["reason"]) == ("denied", LATE)
