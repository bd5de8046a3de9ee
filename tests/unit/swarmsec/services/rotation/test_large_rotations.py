"""A rotation of many nodes: what a call costs does not grow with them, and who holds it up is named all the same."""

from __future__ import annotations

from dataclasses import replace

from ca.rotation import Phase
from swarmsec.services.rotation.rotation_status import MAX_NAMED, rotation_status
from tests.unit.swarmsec.services.desk import Desk
from tests.unit.swarmsec.services.rotation.rotating import (
    abort,
    add_nodes,
    begin,
    carry_on,
    enrol,
    instructions,
    newest,
    status,
    step,
)


def test_a_call_costs_the_database_the_same_among_ten_nodes_and_among_five_hundred(desk: Desk) -> None:
    caller, other, third = (enrol(desk, name) for name in ("n1", "n2", "n3"))
    begin(desk)
    carry_on(desk)
    add_nodes(desk, 10)
    few = instructions(desk, caller.follow)
    add_nodes(desk, 500)
    many = instructions(desk, other.follow)

    # The depth of an index may differ.
    assert many < 1.2 * few
    assert third.call().rotation is not None


def test_our_own_steps_cost_the_database_the_same_among_ten_nodes_and_among_five_hundred(desk: Desk) -> None:
    enrol(desk, "n1")
    begin(desk)
    add_nodes(desk, 10, step="pending")
    few = instructions(desk, lambda: step(desk))
    abort(desk)
    begin(desk)
    add_nodes(desk, 500, step="pending")
    many = instructions(desk, lambda: step(desk))
    assert newest(desk).phase == Phase.CROSS_SIGNED
    assert many < 1.2 * few

    # The next one, and a look that finds nothing to do.
    for phase in (Phase.DISTRIBUTING, Phase.DISTRIBUTING):
        assert instructions(desk, lambda: step(desk)) < 1.2 * few
        assert newest(desk).phase == phase


def test_of_many_who_hold_it_up_those_unheard_of_for_longest_are_named(desk: Desk) -> None:
    follower = enrol(desk, "n1")
    begin(desk)
    carry_on(desk)
    add_nodes(desk, MAX_NAMED + 20)
    heard = {"n1": 1, **{f"x{number:04d}": 5 + number for number in range(MAX_NAMED + 10)}}
    desk.home.store.write(lambda transaction: transaction.rotations.note_contacts(heard))

    seen = status(desk)

    assert (seen.waiting, len(seen.blockers)) == (MAX_NAMED + 21, MAX_NAMED)
    never = [f"x{number:04d}" for number in range(MAX_NAMED + 10, MAX_NAMED + 20)]
    named = [blocker.node for blocker in seen.blockers]
    assert named == [*never, "n1", *(f"x{number:04d}" for number in range(MAX_NAMED - 11))]
    assert {blocker.awaits for blocker in seen.blockers} == {"reissued", "acknowledged"}
    assert follower.calls == 0


def test_a_look_that_names_nobody_counts_everybody(desk: Desk) -> None:
    enrol(desk, "n1")
    begin(desk)
    carry_on(desk)
    add_nodes(desk, 20)

    record = newest(desk)
    counted = desk.home.store.read(lambda transaction: rotation_status(transaction, record, named=0))

    named = status(desk)
    assert len(named.blockers) == 21
    assert counted == replace(named, blockers=[])
