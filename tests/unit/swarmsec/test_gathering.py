"""Gathering: what comes meanwhile comes along, and nobody waits longer than is said."""

from __future__ import annotations

import asyncio

from swarmsec.gathering import Gathering


def test_what_comes_round_by_round_comes_along() -> None:
    taken: list[list[int]] = []

    async def add() -> None:
        gathering = Gathering(taken.append, most=100, seconds=60)
        for number in range(5):
            gathering.add(number)
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        gathering.add(5)
        await asyncio.sleep(0.05)

    asyncio.run(add())
    assert taken == [[0, 1, 2, 3, 4], [5]]


def test_nobody_waits_for_a_crowd_that_does_not_end() -> None:
    taken: list[list[int]] = []

    async def add(gathering: Gathering[int]) -> None:
        for number in range(8):
            gathering.add(number)
            await asyncio.sleep(0)

    asyncio.run(add(Gathering(taken.append, most=100, seconds=0)))
    assert [number for group in taken for number in group] == list(range(8))
    assert len(taken) > 1
    taken.clear()
    asyncio.run(add(Gathering(taken.append, most=4, seconds=60)))
    assert [len(group) for group in taken] == [4, 4]


def test_one_that_is_told_waits_no_longer() -> None:
    taken: list[list[int]] = []

    async def add() -> None:
        gathering = Gathering(taken.append, most=100, seconds=60)
        gathering.hand_over()
        gathering.add(1)
        gathering.hand_over()
        await asyncio.sleep(0.05)

    asyncio.run(add())
    assert taken == [[1]]


def test_another_loop_gathers_anew() -> None:
    taken: list[list[int]] = []
    gathering = Gathering(taken.append, most=100, seconds=60)

    async def add(number: int) -> None:
        gathering.add(number)
        await asyncio.sleep(0.05)

    asyncio.run(add(1))
    asyncio.run(add(2))
    assert taken == [[1], [2]]
