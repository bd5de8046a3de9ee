"""What is kept of a Swarm's rotation: written and read in each form, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.errors import IntegrityFailure
from swarmsec.services.ports import Transaction
from swarmsec.services.swarm.swarm_rotation_records import (
    PLAIN,
    SETTING,
    RootChoice,
    SwarmRotationRecord,
    load_swarm_rotation,
    save_swarm_rotation,
)
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk

LEAVING = "ab" * 32
RECORD = SwarmRotationRecord(
    leaving=LEAVING,
    started=1_700_000_000,
    goes_back=True,
    choice=RootChoice(key_type="p384", token_key="pkcs11:token=swarm;object=root"),  # no secret
)


def put(desk: Desk, text: str) -> None:
    def unit(transaction: Transaction) -> None:
        transaction.settings.put(SETTING, text)
        transaction.log(OPERATOR.event(Action.SWARM_ROTATE, ObjectRef(type="swarm")))

    desk.home.store.write(unit)


@pytest.mark.parametrize("record", [RECORD, replace(RECORD, choice=RootChoice(certificate=b"\x30\x00", key_name="k"))])
def test_what_is_kept_is_what_is_read(desk: Desk, record: SwarmRotationRecord) -> None:
    def unit(transaction: Transaction) -> None:
        save_swarm_rotation(transaction, record)
        transaction.log(OPERATOR.event(Action.SWARM_ROTATE, ObjectRef(type="swarm")))

    desk.home.store.write(unit)
    assert desk.home.store.read(load_swarm_rotation) == record


def test_the_first_form_is_read(desk: Desk) -> None:
    assert desk.home.store.read(load_swarm_rotation) is None
    put(desk, LEAVING)
    assert desk.home.store.read(load_swarm_rotation) == SwarmRotationRecord(leaving=LEAVING, started=0)


@pytest.mark.parametrize("text", ["x", "{}", '{"v":2}', '{"certificate":"?","v":1}'])
def test_nothing_else_is(desk: Desk, text: str) -> None:
    put(desk, text)
    with pytest.raises(IntegrityFailure, match="setting of the Swarm's rotation"):
        desk.home.store.read(load_swarm_rotation)


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (PLAIN, "a root like the present one"),
        (RootChoice(key_type="p384", sealed=True), "a root with a p384 key, its key sealed in this home"),
        (RECORD.choice, "a root with a p384 key, its key at pkcs11:token=swarm;object=root"),
        (RootChoice(certificate=b"\x30\x00"), "an imported root"),
    ],
)
def test_a_choice_says_what_it_is(choice: RootChoice, said: str) -> None:
    assert (str(choice), choice.is_plain) == (said, choice is PLAIN)
