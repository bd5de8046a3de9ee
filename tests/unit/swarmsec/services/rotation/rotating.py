"""A rotation of a desk's authority, with nodes that do what real ones do, and a check that rows and log agree."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from ca.identity import NodeRole
from ca.rotation import Phase
from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.services.ca.authority import Authority
from swarmsec.services.nodes.enrolled_nodes import enrolled_nodes
from swarmsec.services.ports import Refusal, Transaction
from swarmsec.services.records import CertificateRecord
from swarmsec.services.rotation.follow_rotation import must_renew, note_issued
from swarmsec.services.rotation.follow_together import Calling, note_calls
from swarmsec.services.rotation.next_roots import LIKE_THE_PRESENT, NextRoot
from swarmsec.services.rotation.rotate_authority import (
    Begun,
    Held,
    LeftOut,
    abort_rotation,
    begin_rotation,
    do_next_step,
)
from swarmsec.services.rotation.rotate_authority import finish_without as leave_out
from swarmsec.services.rotation.rotation_records import RotationNode, RotationRecord
from swarmsec.services.rotation.rotation_status import RotationStatus, rotation_status
from swarmsec.services.rotation.rotation_steps import ROWS_PER_ENTRY
from swarmsec.storage.database import driver_of
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk, new_key, renew, request_of

HOLDER = "process 1 on test"


@dataclass
class Follower:
    """A node: the certificate it shows, and the roots that it trusts."""

    desk: Desk
    name: str
    record: CertificateRecord
    roots: bytes
    calls: int = field(default=0)

    def call(self, *, roots: bytes | None = None) -> Authority:
        """Ask what to trust; what is answered is not yet believed."""
        sha256 = hashlib.sha256(self.roots if roots is None else roots).digest()

        calling = Calling(self.record.subject_id, self.record.sha256, sha256, OPERATOR)

        def unit(transaction: Transaction, authority: Authority) -> Authority:
            (heard,) = note_calls(transaction, lambda _: authority, [calling])
            if isinstance(heard, Refusal):
                raise heard
            return self.desk.authority_in(transaction)

        self.calls += 1
        return self.desk.write(unit)

    def renew(self) -> None:
        """Get another certificate."""
        key = new_key()

        def unit(transaction: Transaction, authority: Authority) -> CertificateRecord:
            record = renew(transaction, authority, self.record, request_of(key))
            note_issued(transaction, authority, record, OPERATOR)
            return record

        self.record = self.desk.write(unit)

    def follow(self) -> None:
        """One round of a real node: trust, say so, renew where it is told to, be seen."""
        authority = self.call()
        if authority.trusted_pem != self.roots:
            self.roots = authority.trusted_pem
            authority = self.call()
        if must_renew(authority, self.record.generation):
            self.renew()
            self.roots = self.call().trusted_pem


def enrol(desk: Desk, name: str, role: NodeRole = NodeRole.WORKER) -> Follower:
    return Follower(desk, name, desk.issue(role, name, new_key()), desk.authority.trusted_pem)


def add_nodes(desk: Desk, count: int, step: str = "acknowledged") -> None:
    """As many nodes at one step, such as those that trust both roots and wait for the others."""

    def unit(transaction: Transaction, first: int) -> None:
        rotation = newest_in(transaction).id
        for number in range(first, min(first + ROWS_PER_ENTRY, count)):
            node = RotationNode(rotation=rotation, node=f"x{number:04d}", step=step, since=1)
            is_new = transaction.rotations.node(rotation, node.node) is None
            transaction.rotations.put_node(node, is_new=is_new)
        transaction.log(OPERATOR.event(Action.CA_ROTATE_NODE, ObjectRef(type="root-rotation", id=str(rotation))))

    for first in range(0, count, ROWS_PER_ENTRY):
        desk.home.store.write(partial(unit, first=first))


def instructions(desk: Desk, work: Callable[[], object]) -> int:
    """How many instructions of SQLite's machine the writing connection takes for a work."""
    taken = itertools.count()

    def watch(tell: Callable[[], int] | None) -> None:
        with desk.home.store.exclusive() as connection:
            driver_of(connection).set_progress_handler(tell, 1)

    # NOTE: what the handler returns stops a statement unless it is 0.
    watch(lambda: 0 * next(taken))
    work()
    watch(None)
    return next(taken)


def begin(desk: Desk, wanted: NextRoot = LIKE_THE_PRESENT) -> Begun:
    return desk.home.store.write(
        lambda transaction: begin_rotation(
            transaction, desk.keys, OPERATOR, nodes=enrolled_nodes(transaction).own, wanted=wanted
        )
    )


def step(desk: Desk, holder: str = HOLDER) -> RotationRecord | Held | None:
    return desk.home.store.write(lambda transaction: do_next_step(transaction, desk.keys, OPERATOR, holder))


def carry_on(desk: Desk) -> None:
    """Every step that needs no node."""
    while step(desk) is not None:
        pass


def abort(desk: Desk) -> RotationRecord:
    return desk.home.store.write(lambda transaction: abort_rotation(transaction, desk.keys, OPERATOR))


def finish_without(desk: Desk, *nodes: str) -> LeftOut:
    return desk.home.store.write(lambda transaction: leave_out(transaction, frozenset(nodes), OPERATOR))


def newest(desk: Desk) -> RotationRecord:
    return desk.home.store.read(newest_in)


def newest_in(transaction: Transaction) -> RotationRecord:
    record = transaction.rotations.newest()
    assert record is not None
    return record


def status(desk: Desk) -> RotationStatus:
    record = newest(desk)
    return desk.home.store.read(lambda transaction: rotation_status(transaction, record))


def bring_to(desk: Desk, phase: Phase, nodes: list[Follower]) -> None:
    """Begin a rotation, and let nodes follow it until it comes to a phase."""
    begin(desk)
    while newest(desk).phase != phase:
        if step(desk) is None:
            advance_somebody(desk, nodes)


def advance_somebody(desk: Desk, nodes: list[Follower]) -> None:
    """What the phase waits for, done by one node."""
    order = ("acknowledged", "reissued", "converged", "returned")
    first = min(status(desk).blockers, key=lambda blocker: order.index(blocker.awaits))
    advance_one(desk, next(node for node in nodes if node.name == first.node))


def advance_one(desk: Desk, node: Follower) -> None:
    """The next thing that one node does, and no more."""
    match next(blocker.awaits for blocker in status(desk).blockers if blocker.node == node.name):
        case "acknowledged":
            node.roots = node.call().trusted_pem
            node.call()
        case "reissued":
            node.renew()
        case "converged" | "returned":
            node.follow()
