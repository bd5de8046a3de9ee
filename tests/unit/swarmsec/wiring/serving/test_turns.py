"""Nodes get their turns at the pace that is set, each its own, and nobody twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from swarmsec.clock import SystemClock
from swarmsec.wiring.serving.turns import Turns


class Stopped(SystemClock):
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.us = 1_000_000_000

    def monotonic_us(self) -> int:
        return self.us


def test_three_seconds_worth_at_once_and_then_one_after_another() -> None:
    clock = Stopped()
    turns = Turns(clock, 10)

    waits = [turns.wait_for(f"n{number}") for number in range(60)]

    assert waits[:30] == [0] * 30
    assert waits[30:] == [1] * 10 + [2] * 10 + [3] * 10


def test_a_node_keeps_its_place() -> None:
    clock = Stopped()
    turns = Turns(clock, 1)
    waits = {name: turns.wait_for(name) for name in "abcde"}
    assert waits == {"a": 0, "b": 0, "c": 0, "d": 1, "e": 2}
    assert [turns.wait_for("e") for _ in range(5)] == [2] * 5

    clock.us += 2_000_000

    assert turns.wait_for("e") == 0
    assert turns.wait_for("f") == 1


def test_another_phase_asks_as_often_as_there_are_turns() -> None:
    turns = Turns(Stopped(), 10)
    pauses = []
    for nodes in (0, 1, 50, 4700):
        turns.begin(nodes)
        pauses.append(turns.pause)
    assert pauses == [2, 2, 5, 60]


@given(st.integers(1, 10_000), st.lists(st.integers(0, 3_000_000), min_size=1, max_size=80))
def test_no_span_of_time_holds_more_than_its_turns(rate: int, steps: list[int]) -> None:
    clock = Stopped()
    turns = Turns(clock, rate)
    given_at = []
    for number, step in enumerate(steps):
        clock.us += step
        wait = turns.wait_for(f"n{number}")
        given_at.append(clock.us + wait * 1_000_000)
    begun = 1_000_000_000
    for moment in given_at:
        taken = sum(1 for other in given_at if other <= moment)
        assert taken <= 3 * rate + (moment - begun) / 1_000_000 * rate * 1.01 + 1
