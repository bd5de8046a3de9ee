"""Root rotation: what each event does in each phase, and what no order of events can do."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ca.errors import RotationRefused
from ca.rotation import (
    Abort,
    Begin,
    BundleAcknowledged,
    Converged,
    CrossSigned,
    Distribute,
    Enrolled,
    Event,
    FinishWithout,
    Phase,
    Reissued,
    Retire,
    Returned,
    Rotation,
    advance,
    advance_all,
)
from tests.unit.ca.rotating import CROSS, NEW, NODES, OLD, at, begin, run, straight

RUNNING = [phase for phase in Phase if not phase.is_over]
ANNA, BERT, CARA = NODES
LATER = "3d" * 32


def without(*nodes: str) -> FinishWithout:
    return FinishWithout(nodes=frozenset(nodes))


def test_a_rotation_in_which_nothing_goes_wrong() -> None:
    phases = []
    state: Rotation | None = None
    for event in straight(*NODES):
        state = advance(state, event)
        phases.append(state.phase.value)
    assert phases == [
        "prepared",
        "cross_signed",
        *["distributing"] * 3,
        *["reissuing"] * 3,
        *["converging"] * 4,
        "retired",
    ]
    assert state == Rotation(
        phase=Phase.RETIRED, old_root=OLD, new_root=NEW, cross_signed=CROSS, converged=frozenset(NODES)
    )


def test_without_nodes_it_ends_at_once() -> None:
    assert run([begin()]) == Rotation(phase=Phase.RETIRED, old_root=OLD, new_root=NEW)


@pytest.mark.parametrize("phase", RUNNING)
def test_two_that_begin_join(phase: Phase) -> None:
    running = at(phase)
    assert advance(running, begin(*NODES)) == running
    assert advance(running, begin(*NODES, new_root=LATER)) == running
    assert advance(running, begin(*NODES, "dora")).nodes == {*NODES, "dora"}
    assert advance(running, begin()) == running


@pytest.mark.parametrize("phase", RUNNING)
def test_who_joins_leaves_the_same_root(phase: Phase) -> None:
    with pytest.raises(RotationRefused, match="root that the running one leaves"):
        advance(at(phase), begin(*NODES, old_root=LATER))


def test_the_next_rotation_leaves_the_root_that_the_one_before_left_active() -> None:
    retired, aborted = at(Phase.RETIRED), advance(at(Phase.REISSUING), Abort())
    assert advance(retired, begin(ANNA, old_root=NEW, new_root=LATER)).phase is Phase.PREPARED
    assert advance(aborted, begin(ANNA, new_root=LATER)).phase is Phase.PREPARED
    for over, old_root in ((retired, OLD), (aborted, NEW)):
        with pytest.raises(RotationRefused, match="one before left active"):
            advance(over, begin(ANNA, old_root=old_root, new_root=LATER))


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (begin(ANNA, new_root=OLD), "to another root"),
        (begin(ANNA, old_root="old"), "SHA-256"),
        (begin(ANNA, new_root=NEW.upper()), "SHA-256"),
        (begin("Anna"), "node id"),
        (begin("swarm-manager"), "reserved name"),
    ],
)
def test_what_cannot_be_begun(event: Event, reason: str) -> None:
    with pytest.raises(RotationRefused, match=reason):
        advance(None, event)


@pytest.mark.parametrize("event", [*straight(*NODES)[1:], Abort(), Enrolled(node=ANNA), without(ANNA)])
def test_nothing_happens_to_no_rotation(event: Event) -> None:
    with pytest.raises(RotationRefused, match="expected a rotation, got none") as caught:
        advance(None, event)
    assert caught.value.hint is not None


@pytest.mark.parametrize(
    ("phase", "event", "reason"),
    [
        (Phase.PREPARED, Distribute(), "cross-signed root before"),
        (Phase.PREPARED, CrossSigned(fingerprint="cross"), "SHA-256"),
        (Phase.PREPARED, BundleAcknowledged(node=ANNA), "before both roots were served"),
        (Phase.CROSS_SIGNED, BundleAcknowledged(node=ANNA), "before both roots were served"),
        (Phase.CROSS_SIGNED, Reissued(node=ANNA), "before every node trusts the new root"),
        (Phase.DISTRIBUTING, Reissued(node=ANNA), "before every node trusts the new root"),
        (Phase.DISTRIBUTING, Converged(node=ANNA), "before the new root issues"),
        (Phase.PREPARED, Retire(), "anna, bert, cara that do not"),
        (Phase.CROSS_SIGNED, Retire(), "every node to use the new root"),
        (Phase.DISTRIBUTING, Retire(), "every node to use the new root"),
        (Phase.REISSUING, Retire(), "every node to use the new root"),
        (Phase.CONVERGING, Retire(), "every node to use the new root"),
        (Phase.DISTRIBUTING, BundleAcknowledged(node="dora"), "node of this rotation, got 'dora'"),
        (Phase.REISSUING, Enrolled(node="not a node"), "node id"),
        (Phase.REISSUING, without("dora"), "nodes of this rotation, got dora"),
        (Phase.REISSUING, without(), "at least one node"),
    ],
)
def test_what_comes_too_early_is_refused(phase: Phase, event: Event, reason: str) -> None:
    with pytest.raises(RotationRefused, match=reason):
        advance(at(phase), event)


def test_many_names_are_not_all_repeated() -> None:
    nodes = [f"node{number}" for number in range(8)]
    with pytest.raises(RotationRefused, match="got node0, node1, node2, node3, node4 and 3 more that do not"):
        advance(run([begin(*nodes)]), Retire())


def test_leaving_out_everybody_before_it_is_distributed_retires_nothing() -> None:
    state = run([begin(*NODES), without(*NODES)])
    assert state.phase is Phase.PREPARED
    with pytest.raises(RotationRefused, match="converging, got one that is prepared"):
        advance(state, Retire())
    assert run([CrossSigned(fingerprint=CROSS), Distribute(), Retire()], state).phase is Phase.RETIRED


@pytest.mark.parametrize("phase", Phase)
def test_it_can_be_aborted_before_it_is_retired(phase: Phase) -> None:
    if phase is Phase.ABORTED:
        state = advance(at(Phase.PREPARED), Abort())
        assert advance(state, Abort()) is state
    elif phase is Phase.RETIRED:
        with pytest.raises(RotationRefused, match="running rotation, got one that is retired"):
            advance(at(phase), Abort())
    else:
        aborted = advance(at(phase), Abort())
        assert aborted.phase is Phase.ABORTED
        assert aborted.nodes == set(NODES)


def test_an_aborted_rotation_says_who_is_on_the_new_root() -> None:
    state = run([Reissued(node=ANNA), Reissued(node=BERT), Converged(node=BERT), Abort()], at(Phase.REISSUING))
    assert state.on_new_root == {ANNA, BERT}


@pytest.mark.parametrize("event", [*straight(*NODES)[1:], Enrolled(node=ANNA), without(ANNA)])
def test_what_is_over_stays_over(event: Event) -> None:
    retired, aborted = at(Phase.RETIRED), advance(at(Phase.CONVERGING), Abort())
    if not isinstance(event, FinishWithout):
        with pytest.raises(RotationRefused, match="got one that is aborted"):
            advance(aborted, event)
    if isinstance(event, Retire):
        assert advance(retired, event) is retired
    else:
        with pytest.raises(RotationRefused, match="got one that is retired"):
            advance(retired, event)


def test_after_an_abort_who_had_moved_comes_back_or_is_given_up() -> None:
    aborted = run([Reissued(node=ANNA), Converged(node=BERT), Abort()], at(Phase.REISSUING))
    assert not aborted.is_settled
    back = advance(aborted, Returned(node=ANNA))
    assert back.on_new_root == {BERT}
    assert back.pending == {ANNA}
    assert advance(back, Returned(node=ANNA)) == back == advance(back, Returned(node=CARA))
    settled = advance(back, without(BERT, CARA))
    assert settled.excluded == {BERT}
    assert settled.is_settled
    with pytest.raises(RotationRefused, match="nodes of this rotation, got dora"):
        advance(back, without("dora"))


@pytest.mark.parametrize("phase", RUNNING)
def test_nobody_returns_from_a_rotation_that_was_not_called_off(phase: Phase) -> None:
    with pytest.raises(RotationRefused, match="called off"):
        advance(at(phase), Returned(node=ANNA))
    with pytest.raises(RotationRefused, match="retired"):
        advance(at(Phase.RETIRED), Returned(node=ANNA))


def test_what_is_told_twice_changes_nothing() -> None:
    state: Rotation | None = None
    told: list[Event] = []
    for event in straight(*NODES):
        state = advance(state, event)
        told.append(event)
        if not state.phase.is_over:
            assert run(told, state) == state


def test_a_cross_signed_root_can_be_renewed_in_every_phase_after_the_first() -> None:
    for phase in RUNNING[1:]:
        renewed = advance(at(phase), CrossSigned(fingerprint=LATER))
        assert (renewed.phase, renewed.cross_signed) == (phase, LATER)


@pytest.mark.parametrize("phase", RUNNING)
def test_who_enrols_during_a_rotation_gets_what_the_phase_gives(phase: Phase) -> None:
    state = advance(at(phase), Enrolled(node="dora"))
    assert state.phase is phase
    assert "dora" in (state.reissued if phase in (Phase.REISSUING, Phase.CONVERGING) else state.pending)
    assert advance(state, Enrolled(node="dora")) is state


def test_no_more_nodes_enrol_than_a_state_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ca.rotation.MAX_NODES", len(NODES))
    state = advance(at(Phase.DISTRIBUTING), without(ANNA))
    with pytest.raises(RotationRefused, match="at most 3 nodes"):
        advance(state, Enrolled(node="dora"))
    assert advance(state, Enrolled(node=ANNA)).pending == set(NODES)


def test_a_node_that_was_left_out_can_come_back() -> None:
    state = run([without(ANNA), *(BundleAcknowledged(node=node) for node in NODES)], at(Phase.DISTRIBUTING))
    assert state.phase is Phase.REISSUING
    assert state.excluded == {ANNA}
    assert advance(state, Enrolled(node=ANNA)).reissued == {ANNA}
    assert advance(state, Reissued(node=ANNA)) == state
    seen = advance(state, Converged(node=ANNA))
    assert seen.converged == {ANNA}
    assert not seen.excluded


def test_who_has_converged_is_not_left_out() -> None:
    state = advance(at(Phase.CONVERGING), Converged(node=ANNA))
    assert advance(state, without(ANNA)) is state
    assert advance(state, without(ANNA, BERT)).excluded == {BERT}


def test_being_seen_with_the_certificate_outweighs_a_lost_record() -> None:
    state = advance(at(Phase.REISSUING), Converged(node=ANNA))
    assert state.converged == {ANNA}
    assert state.acknowledged == {BERT, CARA}


def test_nothing_of_refused_events_is_kept() -> None:
    state = at(Phase.DISTRIBUTING)
    with pytest.raises(RotationRefused):
        advance_all(state, [BundleAcknowledged(node=ANNA), Retire()])
    assert state == at(Phase.DISTRIBUTING)
    assert advance_all(None, straight(*NODES)) == at(Phase.RETIRED)
    assert advance_all(None, []) is None


NAMES = st.sampled_from([*NODES, "dora", "emil"])
SOME = st.frozensets(NAMES)
EVENTS: dict[str, st.SearchStrategy[Event]] = {
    "begin": SOME.map(lambda nodes: begin(*nodes)),
    "cross": st.sampled_from([CROSS, LATER]).map(lambda text: CrossSigned(fingerprint=text)),
    "distribute": st.just(Distribute()),
    "enrolled": NAMES.map(lambda node: Enrolled(node=node)),
    "acknowledged": NAMES.map(lambda node: BundleAcknowledged(node=node)),
    "reissued": NAMES.map(lambda node: Reissued(node=node)),
    "converged": NAMES.map(lambda node: Converged(node=node)),
    "without": SOME.map(lambda nodes: FinishWithout(nodes=nodes)),
    "returned": NAMES.map(lambda node: Returned(node=node)),
    "retire": st.just(Retire()),
}


def made_again(state: Rotation) -> Rotation:
    return replace(state)


class AnyOrder(RuleBasedStateMachine):
    """Every event at every time, against the little that must hold whatever the order."""

    @initialize(nodes=st.frozensets(NAMES, min_size=1))
    def first(self, nodes: frozenset[str]) -> None:
        self.known = set(nodes)
        self.accepted: list[Event] = [begin(*nodes)]
        self.state = run(self.accepted)
        self.resumed = made_again(self.state)

    @rule(event=st.one_of(*EVENTS.values()))
    def anything(self, event: Event) -> None:
        self.take(event)

    @rule()
    @precondition(lambda self: self.state.phase is Phase.PREPARED)
    def go_on(self) -> None:
        self.take(CrossSigned(fingerprint=CROSS))
        self.take(Distribute())

    @rule(data=st.data())
    @precondition(lambda self: self.state.unconverged)
    def somebody_does_the_next_step(self, data: st.DataObject) -> None:
        node = data.draw(st.sampled_from(sorted(self.state.unconverged)))
        self.take(next_step(self.state, node))

    @rule()
    @precondition(lambda self: len(self.accepted) > 12)
    def aborted(self) -> None:
        self.take(Abort())

    def take(self, event: Event) -> None:
        before = self.state
        if before.phase.is_over and isinstance(event, Begin):
            return
        try:
            self.state = advance(before, event)
        except RotationRefused as error:
            with pytest.raises(RotationRefused, match=re.escape(str(error))):
                advance(self.resumed, event)
            return
        self.accepted.append(event)
        # One who returns after the end brings no node in: of a stranger there is nothing to take back.
        if not isinstance(event, Returned):
            self.known |= getattr(event, "nodes", frozenset()) | {getattr(event, "node", min(self.known))}
        self.resumed = made_again(advance(self.resumed, event))
        assert list(Phase).index(self.state.phase) >= list(Phase).index(before.phase)
        assert self.state.converged >= before.converged or self.state.phase is Phase.ABORTED

    @invariant()
    def no_node_is_lost(self) -> None:
        state = self.state
        assert sorted(node for nodes in state.steps for node in nodes) == sorted(self.known)

    @invariant()
    def nobody_is_issued_what_somebody_cannot_verify(self) -> None:
        assert not (self.state.pending and self.state.on_new_root) or self.state.phase is Phase.ABORTED

    @invariant()
    def the_old_root_is_retired_only_without_need(self) -> None:
        if self.state.phase is Phase.RETIRED:
            assert self.known == self.state.converged | self.state.excluded

    @invariant()
    def storing_loses_nothing_and_a_crash_changes_nothing(self) -> None:
        assert made_again(self.state) == self.state == self.resumed == run(self.accepted)

    def teardown(self) -> None:
        """From every state the end can be reached, by what nodes do alone."""
        state: Rotation | None = getattr(self, "state", None)
        if state is None or state.phase.is_over:
            return
        state = run([CrossSigned(fingerprint=CROSS), Distribute()], state)
        while state.unconverged:
            state = advance(state, next_step(state, min(state.pending or state.acknowledged or state.reissued)))
        assert advance(state, Retire()).phase is Phase.RETIRED


def next_step(state: Rotation, node: str) -> Event:
    if node in state.pending:
        return BundleAcknowledged(node=node)
    return Reissued(node=node) if node in state.acknowledged else Converged(node=node)


AnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestAnyOrder = AnyOrder.TestCase


def test_a_rotation_of_a_large_swarm_takes_its_events_in_time() -> None:
    nodes = [f"node{number}" for number in range(1000)]
    assert run(straight(*nodes)).converged == set(nodes)
