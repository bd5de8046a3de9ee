"""What managers ask for at the same time: signed together, and decided as if one came after the other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ca.identity import NodeIdentity, NodeRole, hosts_of
from ca.swarm_requests import SwarmRequest
from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.errors import Denied
from swarmsec.services.ca.sign_for_swarm import SwarmSigning, rows_of_signing, sign_for_swarm
from swarmsec.services.grouped import Grouped, Results
from swarmsec.services.ports import Transaction
from swarmsec.services.records import CertificateRecord, CertificateStatus
from swarmsec.services.swarm.swarm_records import Eviction
from swarmsec.storage.checking import verify_store
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk, new_key, request_of, spki_of

Sign = Callable[..., Grouped[str]]


class Signing:
    """Signs for the workers of a desk's cluster, as a server does for a manager."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.cluster = desk.authority.cluster_id

    def asked(
        self,
        node_id: str,
        key: ec.EllipticCurvePrivateKey,
        *,
        organization: str = "",
        role: NodeRole = NodeRole.WORKER,
        former_root: str | None = None,
    ) -> Grouped[str]:
        """A manager's request; gives the serial."""
        caller = NodeIdentity(cluster_id=self.cluster, role=NodeRole.MANAGER, node_id="m1")
        wanted = SwarmRequest(
            common_name=node_id,
            organization=organization or self.cluster,
            organizational_unit=role.value,
            hosts=hosts_of(NodeIdentity(cluster_id=self.cluster, role=role, node_id=node_id)),
            profile="",
        )
        request = request_of(key)
        asked = SwarmSigning(caller, wanted, request, OPERATOR, former_root)
        return Grouped(self._sign_all, asked, rows_of_signing(wanted, request))

    def _sign_all(self, transaction: Transaction, asked: Sequence[SwarmSigning]) -> Results[str]:
        for record in sign_for_swarm(transaction, self._desk.authority_in(transaction), asked):
            yield record.serial if isinstance(record, CertificateRecord) else record


@pytest.fixture
def sign(desk: Desk) -> Sign:
    return Signing(desk).asked


def records(desk: Desk) -> list[CertificateRecord]:
    return desk.home.store.read(
        lambda transaction: [each for each in transaction.certificates.all() if each.profile == "swarm-worker"]
    )


def evict(node_id: str) -> Callable[[Transaction], None]:
    def unit(transaction: Transaction) -> None:
        transaction.evictions.add(Eviction(node_id=node_id, hostname="h", reason="test", evicted=1))
        transaction.log(OPERATOR.event(Action.SWARM_EVICT, ObjectRef(type="node", id=node_id)))

    return unit


def test_many_are_signed_in_one_call_and_stand_whole(desk: Desk, sign: Sign, signed: list[int]) -> None:
    before = len(records(desk))
    outcomes = desk.home.store.write_group([sign(f"n{number}", new_key()) for number in range(10)])
    assert signed == [10]
    assert [record.serial for record in records(desk)[before:]] == [outcome.value for outcome in outcomes]
    assert verify_store(desk.home.store).entries == desk.home.store.head().size


def test_the_same_request_twice_at_once_is_one_certificate(desk: Desk, sign: Sign, signed: list[int]) -> None:
    key = new_key()
    first, other, again = desk.home.store.write_group([sign("n1", key), sign("n2", new_key()), sign("n1", key)])
    assert first.value == again.value != other.value
    assert signed == [2]


def test_a_key_that_two_ask_for_at_once_serves_the_first(desk: Desk, sign: Sign) -> None:
    key = new_key()
    first, second = desk.home.store.write_group([sign("n1", key), sign("n2", key)])
    assert (first.error, type(second.error)) == (None, Denied)
    assert [record.subject_id for record in records(desk)] == ["n1"]


def test_two_keys_of_one_node_at_once_leave_the_second_in_force(desk: Desk, sign: Sign) -> None:
    desk.home.store.write_group([sign("n1", new_key()), sign("n1", new_key())])
    assert [record.status for record in records(desk)] == [CertificateStatus.SUPERSEDED, CertificateStatus.VALID]


def test_one_that_is_refused_is_not_signed_and_leaves_its_entry(desk: Desk, sign: Sign, signed: list[int]) -> None:
    good, refused, after = desk.home.store.write_group(
        [sign("n1", new_key()), sign("n2", new_key(), organization="another"), sign("n3", new_key())]
    )
    assert (good.error, type(refused.error), after.error) == (None, Denied, None)
    assert signed == [2]
    assert [record.subject_id for record in records(desk)] == ["n1", "n3"]


def test_nothing_is_signed_for_a_node_that_is_evicted_in_the_same_group(
    desk: Desk, sign: Sign, signed: list[int]
) -> None:
    before, _, after, other = desk.home.store.write_group(
        [sign("n1", new_key()), evict("n1"), sign("n1", new_key()), sign("n2", new_key())]
    )
    assert (before.error, type(after.error), other.error) == (None, Denied, None)
    assert signed == [1, 1]


REQUESTS: Final = st.lists(
    st.fixed_dictionaries(
        {
            "node_id": st.sampled_from(["n1", "n2", "n3", "evicted"]),
            "key": st.integers(0, 5),
            "organization": st.sampled_from(["", "", "", "another"]),
            "role": st.sampled_from([NodeRole.WORKER, NodeRole.WORKER, NodeRole.MANAGER]),
            "former_root": st.sampled_from(["", "", "root"]),
        }
    ),
    max_size=10,
)
RUNS: Final = count()


class Run:
    """One run of the same requests, with nodes, keys and a root that no other run has."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._store = desk, desk.home.store
        self._mark = f"run{next(RUNS)}"
        self._keys = [new_key() for _ in range(6)]

    def left(self, sign: Sign, wanted: Sequence[Mapping[str, Any]], *, together: bool) -> tuple[object, ...]:
        """What callers are told, the rows and the entries, without what differs from run to run anyhow."""
        self._store.write(evict(f"{self._mark}-evicted"))
        first, records_before = self._store.head().size, len(records(self._desk))
        units = [self._unit(sign, each) for each in wanted]
        groups = [units] if together else [[unit] for unit in units]
        outcomes = [outcome for group in groups for outcome in self._store.write_group(group)]
        made = records(self._desk)[records_before:]
        numbers = {record.serial: number for number, record in enumerate(made)}
        answers = [(numbers.get(each.value), str(each.error).replace(self._mark, "")) for each in outcomes]
        return answers, [self._row(record) for record in made], self._entries(first)

    def _unit(self, sign: Sign, wanted: Mapping[str, Any]) -> Grouped[str]:
        return sign(
            f"{self._mark}-{wanted['node_id']}",
            self._keys[wanted["key"]],
            organization=wanted["organization"],
            role=wanted["role"],
            former_root=f"{self._mark}-root" if wanted["former_root"] else None,
        )

    def _row(self, record: CertificateRecord) -> tuple[object, ...]:
        keys = [hashlib.sha256(spki_of(key)).digest() for key in self._keys]
        subject = record.subject_id.replace(self._mark, "")
        return record.profile, subject, keys.index(record.spki_sha256), record.status

    def _entries(self, first: int) -> list[tuple[object, ...]]:
        stored = self._store.read(lambda transaction: [*transaction.log_entries.since(first)])
        return [self._said(json.loads(entry.data)) for entry in stored]

    def _said(self, entry: Mapping[str, Any]) -> tuple[object, ...]:
        target = entry["object"].get("name") or entry["object"]["id"]
        revoked = entry.get("fields", {}).get("revoked")
        tables = [table for table, _, _ in entry.get("state", ())]
        reason = entry.get("reason", "").replace(self._mark, "")
        return entry["action"], entry["outcome"], target.replace(self._mark, ""), reason, revoked, tables


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(REQUESTS)
def test_a_group_leaves_what_one_after_the_other_leaves(
    desk: Desk, sign: Sign, wanted: Sequence[Mapping[str, Any]]
) -> None:
    assert Run(desk).left(sign, wanted, together=True) == Run(desk).left(sign, wanted, together=False)
    verify_store(desk.home.store)
