"""What is asked together: how much at once by its weight, and everybody their own answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from swarmsec.errors import NotFound, SwarmsecError
from swarmsec.wiring.secrets import sharedquestions
from swarmsec.wiring.secrets.sharedquestions import Bounds, SharedQuestions

BOUNDS = Bounds(questions=1, together=4, weight=10)


def asked(*weights: int) -> tuple[list[list[int]], list[object]]:
    """The questions that were asked for things of these weights, and the answers: a thing of weight 0 is not found."""
    questions: list[list[int]] = []

    async def ask(items: Sequence[int]) -> Sequence[int | SwarmsecError]:
        questions.append(list(items))
        return [NotFound("nothing") if item == 0 else -item for item in items]

    async def run() -> list[object]:
        shared: SharedQuestions[int, int] = SharedQuestions(ask, BOUNDS, lambda item: item)
        return list(await asyncio.gather(*map(shared.ask, weights), return_exceptions=True))

    return questions, asyncio.run(run())


def test_what_is_too_heavy_together_is_asked_one_after_the_other() -> None:
    questions, answers = asked(5, 5, 1, 2, 2, 2, 2)
    assert questions == [[5, 5], [1, 2, 2, 2], [2]]
    assert answers == [-5, -5, -1, -2, -2, -2, -2]


def test_what_is_too_heavy_alone_is_asked_alone() -> None:
    questions, answers = asked(1, 99, 1)
    assert questions == [[1], [99], [1]]
    assert answers == [-1, -99, -1]


def test_what_is_found_against_one_is_their_answer_alone() -> None:
    _, answers = asked(1, 0, 2)
    assert [type(answer) for answer in answers] == [int, NotFound, int]


@pytest.mark.parametrize("is_crowd", [True, False])
def test_a_crowd_that_comes_one_by_one_is_asked_for_together(monkeypatch: pytest.MonkeyPatch, is_crowd: bool) -> None:
    """Who is alone is not kept waiting, and in a crowd nobody is once nothing more would come along."""
    monkeypatch.setattr(sharedquestions, "GATHER_SECONDS", 600.0)
    questions: list[list[int]] = []

    async def ask(items: Sequence[int]) -> Sequence[int]:
        questions.append(list(items))
        return items

    async def run() -> None:
        shared: SharedQuestions[int, int] = SharedQuestions(ask, BOUNDS)
        await asyncio.gather(*map(shared.ask, [1, 2] if is_crowd else [1]))
        coming = []
        for item in (3, 4, 5, 6):
            coming.append(asyncio.create_task(shared.ask(item)))
            for _ in range(5):
                await asyncio.sleep(0)
        assert await asyncio.gather(*coming) == [3, 4, 5, 6]

    asyncio.run(run())
    assert questions == ([[1, 2], [3, 4, 5, 6]] if is_crowd else [[1], [3], [4], [5], [6]])
