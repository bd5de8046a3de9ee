"""What managers ask for at the same time: signed together, and decided as if one came after the other."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ca.identity import NodeIdentity, NodeRole, hosts_of
from ca.swarm_requests import SwarmRequest
from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.errors import Denied
from swarmsec.services.ca import sign_for_swarm as signing
from swarmsec.services.ca.orders import Order, Signed, sign_orders
from swarmsec.services.parted import Parted, Parts
from swarmsec.services.ports import Transaction
from swarmsec.services.records import CertificateRecord, CertificateStatus
from swarmsec.services.swarm.swarm_records import Eviction
from swarmsec.storage.checking import verify_store
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk, new_key, request_of


@pytest.fixture
def signed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many certificates were signed in each call."""
    sizes: list[int] = []

    def counting(orders: Sequence[Order]) -> list[Signed]:
        sizes.append(len(orders))
        return sign_orders(orders)

    monkeypatch.setattr(signing, "sign_orders", counting)
    return sizes


def sign(desk: Desk, node_id: str, key: ec.EllipticCurvePrivateKey, *, organization: str = "") -> Parted[str]:
    """A manager's request for a worker; gives the serial."""
    cluster = desk.authority.cluster_id
    caller = NodeIdentity(cluster_id=cluster, role=NodeRole.MANAGER, node_id="m1")
    identity = NodeIdentity(cluster_id=cluster, role=NodeRole.WORKER, node_id=node_id)
    wanted = SwarmRequest(
        common_name=node_id,
        organization=organization or cluster,
        organizational_unit=identity.role.value,
        hosts=hosts_of(identity),
        profile="",
    )
    request = request_of(key)

    def parts(transaction: Transaction) -> Parts[str]:
        authority = desk.authority_in(transaction)
        record = yield from signing.sign_for_swarm(
            transaction, authority, caller, wanted, request, OPERATOR, former_root=None
        )
        return record.serial

    return Parted(parts, signing.rows_of_signing(wanted, request))


def records(desk: Desk) -> list[CertificateRecord]:
    return desk.home.store.read(
        lambda transaction: [each for each in transaction.certificates.all() if each.profile == "swarm-worker"]
    )


def test_many_are_signed_in_one_call_and_stand_whole(desk: Desk, signed: list[int]) -> None:
    before = len(records(desk))
    outcomes = desk.home.store.write_group([sign(desk, f"n{number}", new_key()) for number in range(10)])
    assert signed == [10]
    assert [record.serial for record in records(desk)[before:]] == [outcome.value for outcome in outcomes]
    assert verify_store(desk.home.store).entries == desk.home.store.head().size


def test_the_same_request_twice_at_once_is_one_certificate(desk: Desk, signed: list[int]) -> None:
    key = new_key()
    first, other, again = desk.home.store.write_group(
        [sign(desk, "n1", key), sign(desk, "n2", new_key()), sign(desk, "n1", key)]
    )
    assert first.value == again.value != other.value
    assert signed == [2]


def test_a_key_that_two_ask_for_at_once_serves_the_first(desk: Desk) -> None:
    key = new_key()
    first, second = desk.home.store.write_group([sign(desk, "n1", key), sign(desk, "n2", key)])
    assert (first.error, type(second.error)) == (None, Denied)
    assert [record.subject_id for record in records(desk)] == ["n1"]


def test_two_keys_of_one_node_at_once_leave_the_second_in_force(desk: Desk) -> None:
    desk.home.store.write_group([sign(desk, "n1", new_key()), sign(desk, "n1", new_key())])
    assert [record.status for record in records(desk)] == [CertificateStatus.SUPERSEDED, CertificateStatus.VALID]


def test_one_that_is_refused_is_not_signed_and_leaves_its_entry(desk: Desk, signed: list[int]) -> None:
    good, refused, after = desk.home.store.write_group(
        [sign(desk, "n1", new_key()), sign(desk, "n2", new_key(), organization="another"), sign(desk, "n3", new_key())]
    )
    assert (good.error, type(refused.error), after.error) == (None, Denied, None)
    assert signed == [2]
    assert [record.subject_id for record in records(desk)] == ["n1", "n3"]


def test_nothing_is_signed_for_a_node_that_is_evicted_in_the_same_group(desk: Desk, signed: list[int]) -> None:
    def evict(transaction: Transaction) -> None:
        transaction.evictions.add(Eviction(node_id="n1", hostname="h", reason="test", evicted=1))
        transaction.log(OPERATOR.event(Action.SWARM_EVICT, ObjectRef(type="node", id="n1")))

    before, _, after, other = desk.home.store.write_group(
        [sign(desk, "n1", new_key()), evict, sign(desk, "n1", new_key()), sign(desk, "n2", new_key())]
    )
    assert (before.error, type(after.error), other.error) == (None, Denied, None)
    assert signed == [1, 1]
