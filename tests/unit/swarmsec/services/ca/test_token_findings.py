"""Settings of a token that nothing uses, and keys begun in one, are told; what is in use is not."""

from __future__ import annotations

from functools import partial

from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.services.ca.token_findings import UNFINISHED_ID, UNUSED_ID, needs_token, token_findings
from swarmsec.services.ca.token_roots import begin_token_key, conclude_token_key
from swarmsec.services.ports import Transaction
from swarmsec.services.swarm.swarm_rotation_records import RootChoice, SwarmRotationRecord, save_swarm_rotation
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk

KEY = "pkcs11:token=swarm;object=root;id=%01"


def found(desk: Desk, module: str) -> list[tuple[str, str]]:
    return [(item.finding_id, item.text) for item in desk.home.store.read(partial(token_findings, module=module))]


def test_nothing_is_said_where_no_token_is_named(desk: Desk) -> None:
    assert found(desk, "") == []


def test_a_token_that_is_named_and_not_used_is_told(desk: Desk) -> None:
    ((finding_id, text),) = found(desk, "/usr/lib/token.so")
    assert finding_id == UNUSED_ID
    assert "names /usr/lib/token.so, and no root key of this home is in a token" in text


def test_a_key_that_was_begun_is_told_until_it_is_concluded(desk: Desk) -> None:
    plan = desk.home.store.write(partial(begin_token_key, requester=OPERATOR, key_name=KEY))
    for module in ("", "/usr/lib/token.so"):
        ((finding_id, text),) = found(desk, module)
        assert (finding_id, KEY in text) == (UNFINISHED_ID, True)
    desk.home.store.write(partial(conclude_token_key, requester=OPERATOR, plan=plan, failure="another was chosen"))
    assert [finding_id for finding_id, _ in found(desk, "/usr/lib/token.so")] == [UNUSED_ID]


def test_a_rotation_of_the_swarm_that_goes_into_a_token_needs_it(desk: Desk) -> None:
    assert not desk.home.store.read(needs_token)
    record = SwarmRotationRecord(
        leaving="ab" * 32, started=1_700_000_000, goes_back=False, choice=RootChoice(token_key=KEY)
    )

    def unit(transaction: Transaction) -> None:
        save_swarm_rotation(transaction, record)
        transaction.log(OPERATOR.event(Action.SWARM_ROTATE, ObjectRef(type="swarm")))

    desk.home.store.write(unit)
    assert desk.home.store.read(needs_token)
    assert found(desk, "/usr/lib/token.so") == []
