"""Managers wait for a person: one request per key, one use of a token, nothing issued before, nobody else's name."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ca.identity import NodeRole
from swarmsec.errors import Denied, NotFound, Unavailable
from swarmsec.services.ca.revoke_certificates import revoke_certificates
from swarmsec.services.nodes import hold_nodes
from swarmsec.services.nodes.approve_nodes import approve_node, deny_node, list_held_nodes
from swarmsec.services.nodes.join_node import JoinRequest, join_node
from swarmsec.services.nodes.limited_tokens import TokenRole, revoke_limited_token
from swarmsec.services.nodes.node_records import HeldNode, HeldState
from swarmsec.services.nodes.standing_tokens import open_standing_token
from swarmsec.services.records import CertificateRecord
from swarmsec.storage.checking import verify_store
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk, new_key, request_of
from tests.unit.swarmsec.services.nodes.test_limited_tokens import create
from tests.unit.swarmsec.services.nodes.test_redeem_tokens import uses_left

Key = ec.EllipticCurvePrivateKey
MANAGER = NodeRole.MANAGER


def standing(desk: Desk, role: NodeRole = MANAGER) -> str:
    return desk.home.store.read(lambda transaction: open_standing_token(transaction, desk.keys, role)[1].format())


def ask(
    desk: Desk, token: str, key: Key, name: str | None = None, *, holds: bool = True
) -> CertificateRecord | HeldNode:
    wanted = JoinRequest(token=token, signing_request=request_of(key), node_name=name, holds_managers=holds)
    return desk.write(lambda transaction, authority: join_node(transaction, desk.keys, authority, wanted, OPERATOR))


def held(desk: Desk, token: str, key: Key, name: str | None = None) -> HeldNode:
    answer = ask(desk, token, key, name)
    assert isinstance(answer, HeldNode), answer
    return answer


def issued(desk: Desk, token: str, key: Key, name: str | None = None) -> CertificateRecord:
    answer = ask(desk, token, key, name)
    assert isinstance(answer, CertificateRecord), answer
    return answer


def approve(desk: Desk, node: str, fingerprint: bytes | None = None) -> HeldNode:
    return desk.home.store.write(lambda transaction: approve_node(transaction, node, OPERATOR, fingerprint=fingerprint))


def deny(desk: Desk, node: str) -> HeldNode:
    return desk.home.store.write(lambda transaction: deny_node(transaction, node, OPERATOR, reason="unknown machine"))


def waiting(desk: Desk) -> list[str]:
    return [item.node_id for item in desk.home.store.read(list_held_nodes)]


def test_a_manager_waits_and_a_worker_does_not(desk: Desk) -> None:
    first = held(desk, standing(desk), new_key(), "m1")

    assert (first.node_id, first.state, waiting(desk), desk.states()) == ("m1", HeldState.PENDING, ["m1"], {})
    entry = desk.last_entry()
    assert (entry["action"], entry["outcome"], entry["object"]["id"]) == ("node.request", "success", "m1")
    assert entry["fields"]["spki_sha256"] == first.spki_sha256.hex()
    assert issued(desk, standing(desk, NodeRole.WORKER), new_key()).profile == "swarm-worker"


def test_asking_again_is_the_same_request_without_an_entry(desk: Desk) -> None:
    key = new_key()
    first = held(desk, standing(desk), key)
    size = desk.home.store.head().size

    assert [held(desk, standing(desk), key) for _ in range(3)] == [first] * 3
    assert held(desk, standing(desk), key, first.node_id) == first
    assert desk.home.store.head().size == size
    assert verify_store(desk.home.store).entries == size


def test_an_approved_manager_gets_its_certificate_once_and_again_the_same(desk: Desk) -> None:
    key = new_key()
    first = held(desk, standing(desk), key)
    assert approve(desk, first.node_id).state is HeldState.APPROVED
    assert desk.last_entry()["action"] == "node.approve"

    record = issued(desk, standing(desk), key)

    assert (record.subject_id, record.profile) == (first.node_id, "swarm-manager")
    assert waiting(desk) == []
    assert issued(desk, standing(desk), key) == record
    assert issued(desk, standing(desk), key, first.node_id) == record
    assert desk.states() == {record.serial: "valid"}
    assert verify_store(desk.home.store).entries > 0


def test_a_denied_key_is_refused_for_good_and_its_name_is_free(desk: Desk) -> None:
    key = new_key()
    held(desk, standing(desk), key, "m1")
    deny(desk, "m1")
    assert (desk.last_entry()["action"], desk.last_entry()["reason"]) == ("node.deny", "unknown machine")

    for name in ("m1", None, "m2"):
        with pytest.raises(Denied, match="was denied"):
            ask(desk, standing(desk), key, name)
    assert desk.last_entry()["outcome"] == "denied"
    assert held(desk, standing(desk), new_key(), "m1").node_id == "m1"
    assert desk.states() == {}


def test_an_approval_can_be_taken_back_before_it_is_used(desk: Desk) -> None:
    key = new_key()
    held(desk, standing(desk), key, "m1")
    approve(desk, "m1")
    deny(desk, "m1")

    with pytest.raises(Denied, match="was denied"):
        ask(desk, standing(desk), key)
    with pytest.raises(NotFound):
        approve(desk, "m1")


def test_a_fingerprint_of_another_key_is_refused(desk: Desk) -> None:
    first = held(desk, standing(desk), new_key(), "m1")

    with pytest.raises(Denied, match=first.spki_sha256.hex()):
        approve(desk, "m1", bytes(32))
    assert approve(desk, first.request_id, first.spki_sha256).state is HeldState.APPROVED
    assert approve(desk, "m1").state is HeldState.APPROVED
    with pytest.raises(NotFound, match="no request of 'm2'"):
        approve(desk, "m2")


def test_a_name_is_kept_for_who_waits(desk: Desk) -> None:
    held(desk, standing(desk), new_key(), "m1")

    for role in NodeRole:
        with pytest.raises(Denied, match="kept for another node"):
            ask(desk, standing(desk, role), new_key(), "m1")


def test_a_key_that_waits_keeps_its_name(desk: Desk) -> None:
    key = new_key()
    held(desk, standing(desk), key, "m1")

    with pytest.raises(Denied, match="waits for approval as m1"):
        ask(desk, standing(desk), key, "m2")
    assert waiting(desk) == ["m1"]


@pytest.mark.parametrize("uses", [1, 2])
def test_a_use_is_spent_once_per_node_however_often_it_asks(uses: int, desk: Desk) -> None:
    made, token = create(desk, TokenRole.MANAGER, uses=uses)
    keys = [new_key() for _ in range(uses)]
    for key in keys:
        for _ in range(3):
            held(desk, token, key)
    assert uses_left(desk) == [0]
    with pytest.raises(Denied, match="used up"):
        ask(desk, token, new_key())

    for name in waiting(desk):
        approve(desk, name)
    records = [issued(desk, token, key) for key in keys]

    assert uses_left(desk) == [0]
    assert len({record.subject_id for record in records}) == uses
    assert made.uses == uses


def test_a_token_that_ends_meanwhile_ends_no_request(desk: Desk) -> None:
    made, token = create(desk, TokenRole.MANAGER, ttl=timedelta(minutes=15))
    key = new_key()
    first = held(desk, token, key)
    desk.move_clock(timedelta(hours=2))
    assert held(desk, token, key) == first
    with pytest.raises(Denied, match="expired"):
        ask(desk, token, new_key())
    approve(desk, first.node_id)

    assert issued(desk, token, key).subject_id == first.node_id
    assert made.role == "manager"


def test_a_token_that_is_revoked_meanwhile_ends_its_requests(desk: Desk) -> None:
    made, token = create(desk, TokenRole.MANAGER)
    key = new_key()
    approve(desk, held(desk, token, key).node_id)
    desk.home.store.write(lambda transaction: revoke_limited_token(transaction, made.token_id, OPERATOR))

    with pytest.raises(Denied, match="token was revoked"):
        ask(desk, token, key)


@pytest.mark.parametrize("is_approved", [False, True])
def test_what_waits_for_a_day_is_forgotten_and_may_ask_anew(is_approved: bool, desk: Desk) -> None:
    key = new_key()
    first = held(desk, standing(desk), key, "m1")
    if is_approved:
        approve(desk, "m1")
    desk.move_clock(timedelta(hours=25))

    assert waiting(desk) == []
    with pytest.raises(NotFound):
        approve(desk, "m1")
    again = held(desk, standing(desk), key, "m1")
    assert (again.state, again.request_id != first.request_id) == (HeldState.PENDING, True)


def test_the_number_of_those_who_wait_is_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hold_nodes, "MAX_OPEN", 2)
    for _ in range(2):
        held(desk, standing(desk), new_key())

    with pytest.raises(Unavailable, match="2 requests wait"):
        ask(desk, standing(desk), new_key())
    assert len(waiting(desk)) == 2


def test_a_name_that_was_issued_otherwise_meanwhile_is_not_given_twice(desk: Desk) -> None:
    key = new_key()
    held(desk, standing(desk), key, "m1")
    approve(desk, "m1")
    desk.issue(NodeRole.WORKER, "m1", new_key())

    with pytest.raises(Denied, match="belongs to another node"):
        ask(desk, standing(desk), key)


def test_a_revoked_manager_does_not_come_back_on_its_old_approval(desk: Desk) -> None:
    key = new_key()
    approve(desk, held(desk, standing(desk), key).node_id)
    record = issued(desk, standing(desk), key)
    desk.home.store.write(lambda transaction: revoke_certificates(transaction, record.subject_id, OPERATOR))

    held(desk, standing(desk), key)
    approve(desk, record.subject_id)
    with pytest.raises(Denied, match="key was revoked"):
        ask(desk, standing(desk), key)


def test_a_worker_does_not_become_a_manager_unapproved(desk: Desk) -> None:
    key = new_key()
    worker = issued(desk, standing(desk, NodeRole.WORKER), key)

    waits = held(desk, standing(desk), key)

    assert waits.node_id == worker.subject_id
    assert desk.states() == {worker.serial: "valid"}


def test_without_the_setting_nobody_waits(desk: Desk) -> None:
    answer = ask(desk, standing(desk), new_key(), holds=False)

    assert isinstance(answer, CertificateRecord)
