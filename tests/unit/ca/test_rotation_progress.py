"""Whom a rotation waits for, and the pace at which nodes are turned to."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ca.errors import InvalidRequest
from ca.rotation import Abort, Converged, Failed, FinishWithout, Phase, Reissued, Rotation, advance
from ca.rotation_progress import MAX_BURST, MAX_RATE, Pace, blockers, next_batch, waited_for
from tests.unit.ca.authority import NOW
from tests.unit.ca.rotating import NODES, at, run, straight

ANNA, BERT, CARA = NODES
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
MANY = [f"node{number:03}" for number in range(300)]
LARGE = run(straight(*MANY)[:3])
PACE = Pace(rate=10, burst=20)


@pytest.mark.parametrize(
    ("phase", "waited"),
    [
        (Phase.PREPARED, set()),
        (Phase.CROSS_SIGNED, set()),
        (Phase.DISTRIBUTING, set(NODES)),
        (Phase.REISSUING, set(NODES)),
        (Phase.CONVERGING, set(NODES)),
        (Phase.RETIRED, set()),
    ],
)
def test_each_phase_waits_for_those_who_have_its_step_to_do(phase: Phase, waited: set[str]) -> None:
    assert waited_for(at(phase)) == waited
    if not phase.is_over:
        assert waited_for(advance(at(phase), Abort())) == set()


def test_who_has_done_the_step_is_not_waited_for() -> None:
    assert waited_for(advance(at(Phase.REISSUING), Reissued(node=ANNA))) == {BERT, CARA}
    assert waited_for(advance(at(Phase.CONVERGING), Converged(node=ANNA))) == {BERT, CARA}
    assert waited_for(advance(at(Phase.CONVERGING), FinishWithout(nodes=frozenset({ANNA})))) == {BERT, CARA}


def test_those_unheard_of_for_longest_come_first() -> None:
    state = run([Reissued(node=BERT), Failed(node=ANNA)], at(Phase.REISSUING))
    east = timezone(timedelta(hours=9))
    found = blockers(state, last_seen={ANNA: NOW, BERT: (NOW - MINUTE).astimezone(east), "dora": NOW})
    assert [(one.node, one.awaits, one.failed, one.last_seen) for one in found] == [
        (CARA, "reissued", False, None),
        (BERT, "converged", False, NOW - MINUTE),
        (ANNA, "reissued", True, NOW),
    ]


def test_nobody_blocks_what_is_over_or_has_been_given_up() -> None:
    state = at(Phase.CONVERGING)
    assert [one.awaits for one in blockers(at(Phase.PREPARED), last_seen={})] == ["acknowledged"] * 3
    assert len(blockers(state, last_seen={})) == 3
    assert blockers(advance(state, FinishWithout(nodes=frozenset(NODES))), last_seen={}) == ()
    assert blockers(advance(state, Abort()), last_seen={}) == ()
    assert blockers(at(Phase.RETIRED), last_seen={}) == ()


def test_times_need_their_zone() -> None:
    naive = NOW.replace(tzinfo=None)
    for call in (
        lambda: blockers(at(Phase.CONVERGING), last_seen={ANNA: naive}),
        lambda: next_batch(LARGE, PACE, now=naive),
        lambda: replace(PACE, spent_until=naive),
    ):
        with pytest.raises(InvalidRequest, match="zone"):
            call()


def test_a_burst_and_then_the_rate() -> None:
    first, pace = next_batch(LARGE, PACE, now=NOW)
    assert first == tuple(MANY[:20])
    assert next_batch(LARGE, pace, now=NOW, in_flight=set(first))[0] == ()
    second, pace = next_batch(LARGE, pace, now=NOW + SECOND, in_flight=set(first))
    assert second == tuple(MANY[20:30])
    third, _ = next_batch(LARGE, pace, now=NOW + 9 * SECOND, in_flight={*first, *second})
    assert third == tuple(MANY[30:50])


def test_a_phase_that_waits_for_nobody_costs_nothing() -> None:
    for phase in (Phase.PREPARED, Phase.RETIRED):
        nobody, pace = next_batch(at(phase), PACE, now=NOW)
        assert nobody == ()
        assert len(next_batch(LARGE, pace, now=NOW)[0]) == 20


def test_who_failed_is_tried_after_the_others() -> None:
    state = advance(at(Phase.REISSUING), Failed(node=ANNA))
    assert next_batch(state, PACE, now=NOW)[0] == (BERT, CARA, ANNA)


def test_a_clock_that_goes_back_does_not_stop_the_rotation() -> None:
    _, pace = next_batch(LARGE, PACE, now=NOW + timedelta(days=400))
    nobody, pace = next_batch(LARGE, pace, now=NOW)
    assert nobody == ()
    assert len(next_batch(LARGE, pace, now=NOW + SECOND)[0]) == 10


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (1, 0), (-1, 1), (MAX_RATE + 1, 1), (1, MAX_BURST + 1)])
def test_paces_are_bounded(rate: int, burst: int) -> None:
    with pytest.raises(InvalidRequest, match="rate of 1 to 10000"):
        Pace(rate=rate, burst=burst)


def drain(state: Rotation, pace: Pace, steps: list[timedelta]) -> list[tuple[timedelta, tuple[str, ...]]]:
    """Batches at these distances, with the pace stored in between."""
    batches, passed, seen = [], timedelta(0), set[str]()
    for step in steps:
        passed += step
        batch, pace = next_batch(state, pace, now=NOW + passed, in_flight=seen)
        seen |= set(batch)
        batches.append((passed, batch))
    return batches


@given(
    st.integers(1, 50),
    st.integers(1, 50),
    st.lists(st.timedeltas(timedelta(0), timedelta(seconds=5)), min_size=1, max_size=30),
)
def test_no_span_of_time_holds_more_than_burst_and_rate(rate: int, burst: int, steps: list[timedelta]) -> None:
    batches = drain(LARGE, Pace(rate=rate, burst=burst), steps)
    nodes = [node for _, batch in batches for node in batch]
    assert nodes == MANY[: len(nodes)]
    for first, (begun, _) in enumerate(batches):
        for last in range(first, len(batches)):
            span = (batches[last][0] - begun).total_seconds()
            # An interval is rounded to the microsecond.
            assert sum(len(batch) for _, batch in batches[first : last + 1]) <= burst + rate * span * 1.001 + 1e-3


@given(st.integers(1, 50), st.integers(1, 50))
def test_everybody_is_turned_to_in_time(rate: int, burst: int) -> None:
    some = run(straight(*MANY[:60])[:3])
    batches = drain(some, Pace(rate=rate, burst=burst), [SECOND / rate + timedelta(microseconds=1)] * 61)
    assert sum(len(batch) for _, batch in batches) == 60
