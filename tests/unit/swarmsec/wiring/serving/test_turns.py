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
        pauses.append(turns.pause())
    assert pauses == [2, 2, 5, 60]


def moved(turns: Turns, clock: Stopped, count: int, *, a_second: int) -> list[int]:
    """What so many nodes are told, one after another, that do what the others wait for."""
    told = []
    for _ in range(count):
        clock.us += 1_000_000 // a_second
        told.append(turns.note_move())
    return told


def test_who_waits_asks_again_when_the_others_are_expected_to_be_done() -> None:
    clock = Stopped()
    turns = Turns(clock, 10_000)
    turns.begin(4000)

    told = moved(turns, clock, 1000, a_second=200)

    # Too few tell nothing; then 4,000 at 200 a second are 20 s, and 3,000 of them 15.
    assert told[:49] == [2] * 49
    assert set(told[100:]) == {20}
    assert turns.pause() == 15
    moved(turns, clock, 2980, a_second=200)
    assert turns.pause() == 2


def test_those_who_come_first_in_the_next_phase_rather_ask_too_early_than_let_it_stand_still() -> None:
    clock = Stopped()
    turns = Turns(clock, 10_000)
    turns.begin(4000)

    # 4,000 at 210 a second are 19.05 s, and 3,000 of them 14.3.
    assert set(moved(turns, clock, 1000, a_second=210)[100:]) == {19}
    assert turns.pause() == 15


def test_a_node_that_does_not_come_is_not_asked_for_again_and_again() -> None:
    clock = Stopped()
    turns = Turns(clock, 10_000)
    turns.begin(4000)
    moved(turns, clock, 3999, a_second=200)
    told = []
    for _ in range(4):
        clock.us += 20_000_000
        told.append(turns.pause())
    assert told == [20, 40, 60, 60]


def test_nobody_is_told_to_ask_before_there_are_turns() -> None:
    clock = Stopped()
    turns = Turns(clock, 100)
    turns.begin(3000)
    assert set(moved(turns, clock, 3000, a_second=1000)) == {30}
    assert turns.pause() == 30


def test_another_phase_has_a_pace_of_its_own() -> None:
    clock = Stopped()
    turns = Turns(clock, 10_000)
    turns.begin(4000)
    moved(turns, clock, 1000, a_second=200)
    turns.begin(4000)
    assert turns.pause() == 2
    assert moved(turns, clock, 1, a_second=200) == [2]


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
