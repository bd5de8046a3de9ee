"""How far a rotation is, for people: what is done, what is left, and who holds it up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ca.identity import NodeRole
from ca.rotation_progress import Blocker, blockers, steps_left
from ca.rotation_state import NODE_SETS, Phase
from swarmsec.clock import rfc3339_seconds, unix_seconds
from swarmsec.services.ca.issue_certificate import SERVER_NAME
from swarmsec.services.ca.show_authority import is_token_key_name
from swarmsec.services.nodes.renew_node import records_of, renews_itself, role_word
from swarmsec.services.ports import Transaction
from swarmsec.services.records import CertificateRecord, CertificateStatus
from swarmsec.services.rotation.rotation_records import RotationRecord
from swarmsec.services.rotation.rotation_roots import running_rotation
from swarmsec.services.rotation.rotation_steps import load_longest_unheard

SERVED: Final = "ca.rotation-served"
"""The lease that a server holds while a rotation runs and nodes can ask it."""
MAX_NAMED: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedBlocker:
    """A node that holds a rotation up. Times in Unix seconds."""

    node: str
    role: str
    awaits: str
    last_seen: int | None
    not_after: int | None
    """When its newest certificate ends."""

    def members(self) -> dict[str, object]:
        """The node as JSON members."""
        return {
            "node_id": self.node,
            "role": self.role,
            "awaits": self.awaits,
            "last_seen": None if self.last_seen is None else rfc3339_seconds(self.last_seen),
            "not_after": None if self.not_after is None else rfc3339_seconds(self.not_after),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationStatus:
    """A rotation at one moment."""

    record: RotationRecord
    counts: Mapping[str, int]
    """How many nodes there are at each step; every step is named."""
    waiting: int
    """How many nodes keep it from its end."""
    blockers: Sequence[NamedBlocker]
    """Those of them unheard of for longest, at most ``MAX_NAMED``."""
    is_served: bool
    """Whether a server runs that nodes can ask."""
    former_key: str = ""
    """The name of the key of the root that was given up, where it is in a token; such keys stay there."""

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do."""
        return bool(self.record.ended)

    def members(self) -> dict[str, object]:
        """The rotation as JSON members."""
        record = self.record
        return {
            "id": record.id,
            "phase": record.phase,
            "old_root": record.old_root,
            "new_root": record.new_root,
            "started": rfc3339_seconds(record.started),
            "ended": rfc3339_seconds(record.ended) if record.ended else None,
            "nodes": {"total": sum(self.counts.values()), **self.counts, "waiting": self.waiting},
            "blockers": [blocker.members() for blocker in self.blockers],
            "served": self.is_served,
            "key_left_in_token": self.former_key or None,
        }


def rotation_status(transaction: Transaction, record: RotationRecord, *, named: int = MAX_NAMED) -> RotationStatus:
    """See how far a rotation is.

    Args:
        record: of the rotation; it is read anew.
        named: how many of those who hold it up are looked up and named at most.
    """
    present = next((each for each in transaction.rotations.all() if each.id == record.id), record)
    counts = transaction.rotations.counts(present.id)
    found: Sequence[Blocker] = ()
    contacts: Mapping[str, int] = {}
    waiting = 0
    if not present.ended:
        waiting = sum(counts.get(step, 0) for step in steps_left(Phase(present.phase)))
    if waiting and named:
        # Only those who are named are read.
        state = load_longest_unheard(transaction, present, named)
        contacts = transaction.rotations.contacts(state.nodes)
        last_seen = {node: datetime.fromtimestamp(moment, UTC) for node, moment in contacts.items()}
        found = blockers(state, last_seen=last_seen)
    return RotationStatus(
        record=present,
        counts={step: counts.get(step, 0) for step in NODE_SETS},
        waiting=waiting,
        blockers=[_named(transaction, blocker, contacts) for blocker in found[:named]],
        is_served=transaction.leases.holder(SERVED) is not None,
        former_key=_former_key(transaction, present),
    )


def _former_key(transaction: Transaction, record: RotationRecord) -> str:
    """Of an ended rotation."""
    generation = record.new_generation if record.phase == "aborted" else record.old_generation
    root = transaction.authorities.by_generation(generation) if record.ended else None
    return root.key_name if root is not None and is_token_key_name(root.key_name) else ""


def status_of_running(transaction: Transaction) -> RotationStatus | None:
    """How far the running rotation is; None where none runs."""
    record = running_rotation(transaction)
    return None if record is None else rotation_status(transaction, record)


def left_behind(transaction: Transaction, rotation: RotationRecord) -> Sequence[str]:
    """Who holds a certificate of the old root and does not follow by itself: servers, clients, people.

    Returns:
        names, each once; not those of nodes, drivers and agents, of our own server, and of who has a certificate of
            the new root.
    """
    now = unix_seconds(transaction.clock)
    old: set[str] = set()
    new: set[str] = set()
    # Nodes are by far the most, and are not read.
    for record in transaction.certificates.unexpired(now, besides=[role.value for role in NodeRole]):
        if renews_itself(record) or record.subject_id == SERVER_NAME:
            continue
        if record.generation == rotation.old_generation and _counted_until(record, rotation):
            old.add(record.subject_id)
        elif record.generation == rotation.new_generation and record.status is CertificateStatus.VALID:
            new.add(record.subject_id)
    return sorted(old - new)


def _counted_until(record: CertificateRecord, rotation: RotationRecord) -> bool:
    """Whether it counts, or did until the rotation took it."""
    if record.status is CertificateStatus.REVOKED:
        return bool(rotation.ended) and record.revoked >= rotation.started
    return record.status is CertificateStatus.VALID


def _named(transaction: Transaction, blocker: Blocker, contacts: Mapping[str, int]) -> NamedBlocker:
    records = records_of(transaction, blocker.node)
    newest = records[-1] if records else None
    return NamedBlocker(
        node=blocker.node,
        role="" if newest is None else role_word(newest),
        awaits=blocker.awaits,
        last_seen=contacts.get(blocker.node),
        not_after=None if newest is None else newest.not_after,
    )
