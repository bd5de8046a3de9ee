"""States of a rotation: those that no order of events leads to cannot be made, whoever reads them from where."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ca.errors import InvalidRotation
from ca.rotation import Abort, FinishWithout, Phase, Reissued, Rotation, advance
from tests.unit.ca.rotating import NEW, NODES, at, run

GOOD = run([Reissued(node="anna"), FinishWithout(nodes=frozenset({"cara"}))], at(Phase.REISSUING))
NOBODY: frozenset[str] = frozenset()


def some(*nodes: str) -> frozenset[str]:
    return frozenset(nodes)


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.ABORTED])
def test_every_state_of_a_straight_rotation_can_be_made_again(phase: Phase) -> None:
    assert replace(at(phase)) == at(phase)
    if not phase.is_over:
        called_off = advance(at(phase), Abort())
        assert replace(called_off) == called_off


def test_a_state_names_each_node_at_one_step() -> None:
    assert (GOOD.acknowledged, GOOD.reissued, GOOD.excluded) == (some("bert"), some("anna"), some("cara"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"old_root": ""}, "SHA-256"),
        ({"old_root": NEW}, "to another root"),
        ({"new_root": "1B" * 32}, "SHA-256"),
        ({"cross_signed": "5"}, "SHA-256"),
        ({"cross_signed": None}, "cross-signed root exactly from"),
        ({"converged": some("anna")}, "every node in one set"),
        ({"pending": some("dora")}, "done what the phase reissuing says"),
        ({"phase": Phase.CONVERGING}, "done what the phase converging says"),
        ({"phase": Phase.DISTRIBUTING}, "done what the phase distributing says"),
        ({"phase": Phase.CROSS_SIGNED}, "nobody on the new root"),
        ({"phase": Phase.CROSS_SIGNED, "reissued": NOBODY}, "nobody who trusts the new root"),
        ({"phase": Phase.PREPARED}, "cross-signed root exactly from"),
        ({"phase": Phase.RETIRED}, "retired only when every node"),
        ({"phase": Phase.ABORTED, "cross_signed": None}, "cross-signed root exactly from"),
        ({"phase": Phase.ABORTED, "cross_signed": None, "reissued": NOBODY}, "nobody who trusts"),
    ],
)
def test_what_no_order_of_events_leads_to_is_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidRotation, match=reason):
        replace(GOOD, **change)


def test_nobody_is_on_the_new_root_while_somebody_does_not_know_it() -> None:
    with pytest.raises(InvalidRotation, match="nobody on the new root"):
        replace(at(Phase.DISTRIBUTING), reissued=some("dora"))


def test_too_many_nodes_are_no_rotation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ca.rotation_state.MAX_NODES", len(NODES) - 1)
    with pytest.raises(InvalidRotation, match="at most 2 nodes, got 3"):
        Rotation(**{name: getattr(GOOD, name) for name in Rotation.__slots__})
