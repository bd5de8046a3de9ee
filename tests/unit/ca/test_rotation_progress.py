"""Whom a rotation waits for."""

from __future__ import annotations

from datetime import timedelta, timezone

import pytest

from ca.errors import InvalidRequest
from ca.rotation import Abort, Converged, FinishWithout, Phase, Reissued, Returned, advance
from ca.rotation_progress import blockers, waited_for
from tests.unit.ca.authority import NOW
from tests.unit.ca.rotating import NODES, at, run

ANNA, BERT, CARA = NODES
MINUTE = timedelta(minutes=1)


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
    state = advance(at(Phase.REISSUING), Reissued(node=BERT))
    east = timezone(timedelta(hours=9))
    found = blockers(state, last_seen={ANNA: NOW, BERT: (NOW - MINUTE).astimezone(east), "dora": NOW})
    assert [(one.node, one.awaits, one.last_seen) for one in found] == [
        (CARA, "reissued", None),
        (BERT, "converged", NOW - MINUTE),
        (ANNA, "reissued", NOW),
    ]


def test_nobody_blocks_what_is_over_or_has_been_given_up() -> None:
    state = at(Phase.CONVERGING)
    assert [one.awaits for one in blockers(at(Phase.PREPARED), last_seen={})] == ["acknowledged"] * 3
    assert len(blockers(state, last_seen={})) == 3
    assert blockers(advance(state, FinishWithout(nodes=frozenset(NODES))), last_seen={}) == ()
    assert blockers(advance(at(Phase.DISTRIBUTING), Abort()), last_seen={}) == ()
    assert blockers(at(Phase.RETIRED), last_seen={}) == ()


def test_after_an_abort_those_are_named_that_have_not_come_back() -> None:
    state = run([Reissued(node=ANNA), Converged(node=BERT), Abort()], at(Phase.REISSUING))
    assert [(one.node, one.awaits) for one in blockers(state, last_seen={})] == [(ANNA, "returned"), (BERT, "returned")]
    assert blockers(run([Returned(node=ANNA), Returned(node=BERT)], state), last_seen={}) == ()


def test_times_need_their_zone() -> None:
    with pytest.raises(InvalidRequest, match="zone"):
        blockers(at(Phase.CONVERGING), last_seen={ANNA: NOW.replace(tzinfo=None)})
