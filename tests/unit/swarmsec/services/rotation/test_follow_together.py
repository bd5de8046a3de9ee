"""What nodes say and ask for at the same time in a rotation: taken together, as if one came after the other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ca.identity import NodeRole
from ca.rotation import Phase
from swarmsec.errors import Denied
from swarmsec.http import Role
from swarmsec.services.access.kept_identities import issue_kept_identity
from swarmsec.services.ca.authority import Authority
from swarmsec.services.ca.revoke_certificates import revoke_certificates
from swarmsec.services.grouped import Grouped, Results
from swarmsec.services.nodes.renew_node import Renewal, rows_of_renewal
from swarmsec.services.ports import Transaction
from swarmsec.services.records import CertificateRecord, CertificateStatus
from swarmsec.services.rotation.follow_together import (
    Calling,
    Heard,
    Issued,
    note_calls,
    renew_together,
    rows_of_call,
)
from swarmsec.services.rotation.next_roots import LIKE_THE_PRESENT
from swarmsec.services.rotation.rotate_authority import begin_rotation
from swarmsec.storage.checking import verify_store
from swarmsec.storage.grouprun import Outcome
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk, new_key, request_of, spki_of
from tests.unit.swarmsec.services.rotation.rotating import Follower, carry_on, enrol, finish_without, newest, status

Key = ec.EllipticCurvePrivateKey
NODES: Final = ("n1", "n2", "n3")
DRIVER: Final = "driver.d1"
RUNS: Final = count()


class Crowd:
    """Nodes that call and renew at a desk, as a server takes what they say."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def call(self, node: Follower) -> Grouped[Heard]:
        calling = Calling(node.name, node.record.sha256, hashlib.sha256(node.roots).digest(), OPERATOR)
        return Grouped(self._note_all, calling, rows_of_call(node.name))

    def renewal(self, node: Follower, key: Key) -> Grouped[Issued]:
        request = request_of(key)
        asked = Renewal(node.name, node.record.sha256, request, OPERATOR)
        return Grouped(self._renew_all, asked, rows_of_renewal(node.name, request))

    def _note_all(self, transaction: Transaction, calls: Sequence[Calling]) -> Results[Heard]:
        return note_calls(transaction, self._desk.authority_in, calls)

    def _renew_all(self, transaction: Transaction, asked: Sequence[Renewal]) -> Results[Issued]:
        return renew_together(transaction, self._desk.authority_in, asked)


def enrol_driver(desk: Desk, name: str) -> Follower:
    def unit(transaction: Transaction, authority: Authority) -> CertificateRecord:
        role, spki = Role.parse("driver"), spki_of(new_key())
        return issue_kept_identity(
            transaction, authority, name=name, role=role, spki_der=spki, requester=OPERATOR, via="test"
        )

    return Follower(desk, name, desk.write(unit), desk.authority.trusted_pem)


def begin(desk: Desk, names: Sequence[str]) -> None:
    """A rotation of these nodes that gives out both roots."""
    desk.home.store.write(
        lambda transaction: begin_rotation(
            transaction, desk.keys, OPERATOR, nodes=frozenset(names), wanted=LIKE_THE_PRESENT
        )
    )
    carry_on(desk)


def trusting_both(desk: Desk, nodes: Sequence[Follower]) -> None:
    for node in nodes:
        node.roots = desk.authority.trusted_pem


def steps(desk: Desk) -> dict[str, str]:
    record = newest(desk)
    found = desk.home.store.read(lambda transaction: transaction.rotations.nodes(record.id))
    return {node.node: node.step for node in found}


def test_nodes_renew_in_one_call_and_the_rotation_knows_it(desk: Desk, signed: list[int]) -> None:
    nodes, crowd = [enrol(desk, f"n{number}") for number in range(6)], Crowd(desk)
    begin(desk, [node.name for node in nodes])
    trusting_both(desk, nodes)
    heard = desk.home.store.write_group([crowd.call(node) for node in nodes])
    signed.clear()

    issued = desk.home.store.write_group([crowd.renewal(node, new_key()) for node in nodes])

    phases = [outcome.value.authority.rotation.phase for outcome in heard]
    assert phases == [Phase.DISTRIBUTING] * 5 + [Phase.REISSUING]
    assert signed == [6]
    assert {outcome.value.record.subject_id for outcome in issued} == {node.name for node in nodes}
    assert {outcome.value.record.generation for outcome in issued} == {newest(desk).new_generation}
    assert (newest(desk).phase, {*steps(desk).values()}) == (Phase.CONVERGING, {"reissued"})
    verify_store(desk.home.store)


def test_one_that_is_refused_is_not_signed_and_leaves_its_entry(desk: Desk, signed: list[int]) -> None:
    nodes, crowd = [enrol(desk, name) for name in NODES], Crowd(desk)
    desk.home.store.write(lambda transaction: revoke_certificates(transaction, "n2", OPERATOR))
    signed.clear()

    first, refused, last = desk.home.store.write_group([crowd.renewal(node, new_key()) for node in nodes])

    assert (first.error, type(refused.error), last.error) == (None, Denied, None)
    assert signed == [2]


def test_two_nodes_that_want_one_key_at_once_get_one_certificate(desk: Desk) -> None:
    nodes, crowd, key = [enrol(desk, name) for name in NODES[:2]], Crowd(desk), new_key()

    first, second = desk.home.store.write_group([crowd.renewal(node, key) for node in nodes])

    assert (first.error, type(second.error)) == (None, Denied)


def test_a_node_that_renews_twice_at_once_has_the_second_in_force(desk: Desk) -> None:
    node, crowd = enrol(desk, "n1"), Crowd(desk)

    outcomes = desk.home.store.write_group([crowd.renewal(node, new_key()) for _ in range(2)])

    states = desk.states()
    assert [states[outcome.value.record.serial] for outcome in outcomes] == [
        CertificateStatus.SUPERSEDED,
        CertificateStatus.VALID,
    ]


ACTS: Final = st.lists(
    st.tuples(st.sampled_from([*NODES, DRIVER]), st.sampled_from(["call", "call", "renew"]), st.integers(0, 9)),
    max_size=8,
)
"""Who does what at the same time; the number is of a key."""
ROUNDS: Final = st.tuples(st.lists(ACTS, min_size=1, max_size=2), st.lists(ACTS, max_size=2))
"""While both roots are given out, and after every node but one trusts both."""


class Run:
    """One rotation with nodes, keys and roots that no other run has."""

    def __init__(self, desk: Desk, *, together: bool) -> None:
        self._desk, self._store, self._together = desk, desk.home.store, together
        self._mark = f"run{next(RUNS)}"
        self._keys = [new_key() for _ in range(10)]
        self._first = self._store.head().size
        self._nodes = {name: enrol(desk, f"{name}-{self._mark}", NodeRole.WORKER) for name in NODES}
        self._nodes[DRIVER] = enrol_driver(desk, f"{DRIVER}-{self._mark}")
        self._generation = desk.authority.record.generation
        self._before = self._rows()
        self._crowd = Crowd(desk)

    def left(self, rounds: tuple[Sequence[Sequence[Any]], Sequence[Sequence[Any]]]) -> tuple[object, ...]:
        """What nodes are told, the rows and the entries, without what differs from run to run anyhow."""
        # The last node enrols by its first call.
        begin(self._desk, [node.name for node in list(self._nodes.values())[1:]])
        told = [self._do(acts) for acts in rounds[0]]
        trusting_both(self._desk, [*self._nodes.values()])
        told.append(self._do([(name, "call", 0) for name in self._nodes]))
        told += [self._do(acts) for acts in rounds[1]]
        made = self._rows()[len(self._before) :]
        how_far = sorted((self._said(node), step) for node, step in steps(self._desk).items())
        phase, entries = newest(self._desk).phase, self._entries()
        self._end()
        return told, [self._row(record) for record in made], how_far, phase, entries

    def _do(self, acts: Sequence[tuple[str, str, int]]) -> list[object]:
        units = [self._unit(*act) for act in acts]
        groups = [units] if self._together else [[unit] for unit in units]
        outcomes = [outcome for group in groups for outcome in self._store.write_group(group)]
        for (name, _, _), outcome in zip(acts, outcomes, strict=True):
            if isinstance(outcome.value, Issued):
                self._nodes[name].record = outcome.value.record
            self._nodes[name].roots = self._desk.authority.trusted_pem
        return [self._answer(outcome) for outcome in outcomes]

    def _unit(self, name: str, what: str, key: int) -> Grouped[Any]:
        node = self._nodes[name]
        return self._crowd.call(node) if what == "call" else self._crowd.renewal(node, self._keys[key])

    def _answer(self, outcome: Outcome) -> object:
        if outcome.error is not None:
            return self._said(str(outcome.error))
        rotation = outcome.value.authority.rotation
        row = self._row(outcome.value.record) if isinstance(outcome.value, Issued) else None
        return rotation.phase, None if row is None else row[:3]

    def _rows(self) -> list[CertificateRecord]:
        return self._store.read(lambda transaction: [*transaction.certificates.all()])

    def _row(self, record: CertificateRecord) -> tuple[object, ...]:
        keys = [hashlib.sha256(spki_of(key)).digest() for key in self._keys]
        generation = record.generation - self._generation
        return self._said(record.subject_id), keys.index(record.spki_sha256), generation, record.status

    def _entries(self) -> list[tuple[object, ...]]:
        stored = self._store.read(lambda transaction: [*transaction.log_entries.since(self._first)])
        return [self._worded(json.loads(entry.data)) for entry in stored]

    def _worded(self, entry: Mapping[str, Any]) -> tuple[object, ...]:
        target = entry["object"].get("name") or entry["object"]["id"]
        fields = entry.get("fields", {})
        tables = [table for table, _, _ in entry.get("state", ())]
        # Rotations and cross-certificates are other ones in each run.
        about = self._said(target) if self._mark in target else ""
        said = [fields.get(name) for name in ("step", "nodes", "phase", "revoked")]
        return entry["action"], entry["outcome"], about, self._said(entry.get("reason", "")), said, tables

    def _said(self, text: str) -> str:
        return text.replace(self._mark, "")

    def _end(self) -> None:
        """Retire the old root, so that another run can begin."""
        left = [blocker.node for blocker in status(self._desk).blockers]
        if left:
            finish_without(self._desk, *left)
        carry_on(self._desk)
        assert newest(self._desk).phase == Phase.RETIRED


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROUNDS)
def test_a_group_leaves_what_one_after_the_other_leaves(
    desk: Desk, rounds: tuple[Sequence[Sequence[Any]], Sequence[Sequence[Any]]]
) -> None:
    assert Run(desk, together=True).left(rounds) == Run(desk, together=False).left(rounds)
    verify_store(desk.home.store)
