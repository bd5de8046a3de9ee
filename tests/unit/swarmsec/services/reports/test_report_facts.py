"""What a report learns of a rotation of the root."""

from __future__ import annotations

from ca.identity import NodeRole
from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import unix_seconds
from swarmsec.reports.facts import RotationFact
from swarmsec.services.ports import Transaction
from swarmsec.services.reports.report_facts import collect_home_facts
from swarmsec.services.swarm.swarm_rotation_records import SwarmRotationRecord, save_swarm_rotation
from swarmsec.wiring.reports.reporting import look_around
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk, new_key
from tests.unit.swarmsec.services.rotation.rotating import abort, begin, carry_on, newest


def rotation_of(desk: Desk) -> RotationFact | None:
    around = look_around(desk.home)
    with desk.home.store.reading() as transaction:
        return collect_home_facts(transaction, desk.home.store.head().size, around).rotation


def test_a_rotation_is_told_with_its_beginning_and_who_is_waited_for_until_it_is_over(desk: Desk) -> None:
    assert rotation_of(desk) is None
    for name in ("n1", "n2"):
        desk.issue(NodeRole.WORKER, name, new_key())
    begin(desk)
    carry_on(desk)

    assert rotation_of(desk) == RotationFact(started=newest(desk).started, waiting=2)

    abort(desk)
    carry_on(desk)
    assert newest(desk).ended
    assert rotation_of(desk) is None


def test_a_rotation_of_the_swarm_holds_that_of_the_home_within_it(desk: Desk) -> None:
    started = unix_seconds(desk.home.clock) - 7
    record = SwarmRotationRecord(leaving="ab" * 32, started=started)

    def save(kept: SwarmRotationRecord | None) -> None:
        def unit(transaction: Transaction) -> None:
            save_swarm_rotation(transaction, kept)
            transaction.log(OPERATOR.event(Action.SWARM_ROTATE, ObjectRef(type="swarm")))

        desk.home.store.write(unit)

    save(record)
    assert rotation_of(desk) == RotationFact(started=started, waiting=None)
    save(None)
    assert rotation_of(desk) is None
