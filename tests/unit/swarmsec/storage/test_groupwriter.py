"""The writer of a server: units gathered into groups, each answered after its commit, nobody left waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.errors import NotFound, Unavailable
from swarmsec.storage import groupwriter
from swarmsec.storage.foreseen import Look
from swarmsec.storage.grouprun import Outcome
from swarmsec.storage.groupwriter import GroupWriter
from swarmsec.storage.store import Store, Unit
from swarmsec.storage.transaction import Transaction
from tests.unit.swarmsec.homes import OPERATOR, make_home


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    home, _, _ = make_home(tmp_path / "home")
    yield home.store
    home.close()


@pytest.fixture
def writer(store: Store) -> Iterator[GroupWriter]:
    made = GroupWriter(store)
    made.start()
    yield made
    made.close()


def logging(name: str) -> Callable[[Transaction], int]:
    event = OPERATOR.event(Action.SERVE_START, ObjectRef(type="server", id=name))
    return lambda transaction: transaction.log(event)


def refusing(_: Transaction) -> None:
    raise NotFound("no such thing")


@pytest.fixture
def groups(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many units each group had."""
    sizes: list[int] = []
    write_group = store.write_group

    def counting(units: Sequence[Unit[Any]], looks: Sequence[Look] = ()) -> list[Outcome]:
        sizes.append(len(units))
        return write_group(units, looks)

    monkeypatch.setattr(store, "write_group", counting)
    return sizes


def test_what_comes_together_is_written_together_and_answered_in_its_order(
    store: Store, writer: GroupWriter, groups: list[int]
) -> None:
    begun = store.head().size

    async def many() -> list[int]:
        return await asyncio.gather(*(writer.write(logging(str(number))) for number in range(50)))

    assert asyncio.run(many()) == list(range(begun, begun + 50))
    assert groups == [50]


def test_what_comes_round_by_round_is_gathered(writer: GroupWriter, groups: list[int]) -> None:
    async def later(rounds: int) -> None:
        for _ in range(rounds):
            await asyncio.sleep(0)
        await writer.write(logging(str(rounds)))

    async def many() -> None:
        await asyncio.gather(*(later(rounds) for rounds in range(20)))

    asyncio.run(many())
    assert groups == [20]


def test_a_group_is_bounded(writer: GroupWriter, groups: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groupwriter, "MAX_GROUP", 8)

    async def later(rounds: int) -> None:
        for _ in range(rounds):
            await asyncio.sleep(0)
        await writer.write(logging(str(rounds)))

    async def many() -> None:
        await asyncio.gather(*(later(rounds) for rounds in range(40)))

    asyncio.run(many())
    assert sum(groups) == 40
    # The writer takes what waits until it has enough, so a group may have most of another one.
    assert max(groups) < 16


def test_one_that_is_refused_leaves_the_others_alone(writer: GroupWriter) -> None:
    async def many() -> list[object]:
        units = (logging("a"), refusing, logging("b"))
        return await asyncio.gather(*(writer.write(unit) for unit in units), return_exceptions=True)

    first, refused, second = asyncio.run(many())
    assert isinstance(first, int)
    assert second == first + 1
    assert isinstance(refused, NotFound)


def test_a_full_queue_refuses_at_once_and_takes_again_what_comes_after(
    writer: GroupWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groupwriter, "MAX_QUEUE", 3)

    async def many() -> tuple[list[object], int]:
        units = (writer.write(logging(str(number))) for number in range(5))
        return await asyncio.gather(*units, return_exceptions=True), await writer.write(logging("after"))

    answers, after = asyncio.run(many())
    assert [isinstance(answer, Unavailable) for answer in answers] == [False, False, False, True, True]
    assert after > 0


def test_one_who_goes_away_before_it_began_takes_nothing_from_the_others(store: Store, writer: GroupWriter) -> None:
    begun = store.head().size

    async def leave() -> int:
        gone = asyncio.create_task(writer.write(logging("gone")))
        staying = asyncio.create_task(writer.write(logging("staying")))
        await asyncio.sleep(0)
        gone.cancel()
        return await staying

    assert asyncio.run(leave()) == begun
    assert store.head().size == begun + 1


def test_what_waits_for_the_turn_of_another_is_not_begun_once_its_caller_left(
    store: Store, writer: GroupWriter, groups: list[int]
) -> None:
    begun = store.head().size

    async def leave() -> int:
        with store.exclusive():
            gone = asyncio.create_task(writer.write(logging("gone")))
            while not groups:
                await asyncio.sleep(0.001)
            gone.cancel()
            await asyncio.wait({gone})
        return await writer.write(logging("staying"))

    assert asyncio.run(leave()) == begun


def test_one_who_goes_away_after_it_began_keeps_what_it_did(store: Store, writer: GroupWriter) -> None:
    began, goes_on = Event(), Event()

    def slow(transaction: Transaction) -> int:
        began.set()
        goes_on.wait(30)
        return logging("slow")(transaction)

    size = store.head().size

    async def leave() -> int:
        gone = asyncio.create_task(writer.write(slow))
        await asyncio.to_thread(began.wait)
        gone.cancel()
        await asyncio.wait({gone})
        goes_on.set()
        return await writer.write(logging("staying"))

    assert asyncio.run(leave()) == size + 1


def test_closing_writes_what_was_gathered_and_refuses_what_comes_after(store: Store) -> None:
    writer = GroupWriter(store)
    writer.start()
    begun = store.head().size

    async def close() -> int:
        waiting = asyncio.create_task(writer.write(logging("last")))
        await asyncio.sleep(0)
        writer.close()
        with pytest.raises(Unavailable, match="stopping"):
            await writer.write(logging("late"))
        return await waiting

    assert asyncio.run(close()) == begun


def test_another_loop_may_write_after_one_that_ended_halfway(writer: GroupWriter) -> None:
    async def leave() -> None:
        asyncio.create_task(writer.write(logging("unheard")))  # noqa: RUF006  # its loop ends before it is done
        await asyncio.sleep(0)

    asyncio.run(leave())
    assert asyncio.run(writer.write(logging("heard"))) > 0


def test_who_waits_for_a_disk_that_hangs_is_told_and_written_later(
    store: Store, writer: GroupWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, goes_on, ended = Event(), Event(), Event()
    write_group = store.write_group

    def hanging(units: Sequence[Unit[Any]], looks: Sequence[Look] = ()) -> list[Outcome]:
        store.turn.busy_since = -10_000_000
        begun.set()
        goes_on.wait()
        store.turn.busy_since = None
        outcomes = write_group(units, looks)
        ended.set()
        return outcomes

    monkeypatch.setattr(store, "write_group", hanging)

    async def wait() -> list[object]:
        under_way = asyncio.create_task(writer.write(logging("under way")))
        await asyncio.to_thread(begun.wait)
        gathered = asyncio.create_task(writer.write(logging("gathered")))
        await asyncio.sleep(0)
        writer.fail_hung(1)
        answers = await asyncio.gather(under_way, gathered, return_exceptions=True)
        with pytest.raises(Unavailable):
            await writer.write(logging("meanwhile"))
        goes_on.set()
        return list(answers)

    assert all(isinstance(answer, Unavailable) for answer in asyncio.run(wait()))
    monkeypatch.setattr(store, "write_group", write_group)
    # Until then the disk is as slow as the machine is busy, and may rightly be said to hang.
    ended.wait()
    writer.fail_hung(1)
    assert asyncio.run(writer.write(logging("again"))) > 0
