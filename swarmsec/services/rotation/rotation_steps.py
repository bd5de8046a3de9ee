"""A rotation's state between the pure machine and the rows that keep it.

What one node does is decided on a part of the state that is enough for it: the node itself, and any one other node at
each of the steps that the others can hold up. So an event costs the same whether ten nodes follow or ten thousand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from ca.rotation import Event, Phase, Rotation, advance
from ca.rotation_progress import steps_left
from ca.rotation_state import NODE_SETS
from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import unix_seconds
from swarmsec.services.ports import Transaction
from swarmsec.services.requester import Field, Requester
from swarmsec.services.rotation.rotation_records import RotationNode, RotationRecord
from swarmsec.services.rotation.rotation_roots import change_epoch

ROWS_PER_ENTRY: Final = 250
"""An entry names every row that it covers, and is bounded in size."""


def load_rotation(transaction: Transaction, record: RotationRecord) -> Rotation:
    """The whole state."""
    return _rotation(record, transaction.rotations.nodes(record.id))


def load_around(transaction: Transaction, record: RotationRecord, node: str, known: RotationNode | None) -> Rotation:
    """As much of the state as an event of one node needs.

    Args:
        node: its id.
        known: how far it is, as the transaction has it.
    """
    found = [
        known,
        transaction.rotations.another_at(record.id, "pending", than=node),
        transaction.rotations.another_at(record.id, "acknowledged", than=node),
    ]
    return _rotation(record, [each for each in found if each is not None])


def load_what_holds_up(transaction: Transaction, record: RotationRecord) -> Rotation:
    """As much of the state as our own steps need: any one node at each step that a phase or the end waits for."""
    found = (transaction.rotations.another_at(record.id, step, than="") for step in steps_left(Phase(record.phase)))
    return _rotation(record, [each for each in found if each is not None])


def load_longest_unheard(transaction: Transaction, record: RotationRecord, count: int) -> Rotation:
    """As much of the state as tells who holds a rotation up: so many nodes, unheard of for longest, and two more."""
    longest = transaction.rotations.longest_unheard(record.id, list(steps_left(Phase(record.phase))), count)
    found = [
        *(transaction.rotations.node(record.id, node) for node in longest),
        # The phase stands only with a node that it waits for.
        transaction.rotations.another_at(record.id, "pending", than=""),
        transaction.rotations.another_at(record.id, "acknowledged", than=""),
    ]
    return _rotation(record, [each for each in found if each is not None])


def take_event(
    transaction: Transaction, record: RotationRecord, before: Rotation, event: Event, requester: Requester
) -> tuple[RotationRecord, Rotation]:
    """Take an event, and keep and log what it changes.

    Args:
        before: from ``load_rotation``, or for an event of one node from ``load_around``.

    Returns:
        the rotation as it is then.

    Raises:
        ca.errors.RotationRefused: the event cannot be taken.
    """
    after = advance(before, event)
    return keep(transaction, record, before, after, requester), after


def keep(
    transaction: Transaction, record: RotationRecord, before: Rotation | None, after: Rotation, requester: Requester
) -> RotationRecord:
    """Keep and log the difference between two states.

    Args:
        before: None for a rotation that begins, whose record is not yet kept.
    """
    _keep_nodes(transaction, record, before, after, requester)
    phase, cross_signed = after.phase.value, after.cross_signed or ""
    if before is not None and (phase, cross_signed) == (record.phase, record.cross_signed):
        return record
    changed = replace(record, phase=phase, cross_signed=cross_signed)
    if before is None:
        transaction.rotations.add(changed)
    else:
        transaction.rotations.change(changed)
    change_epoch(transaction)
    log_rotation(transaction, changed, requester)
    return changed


def end_rotation(transaction: Transaction, record: RotationRecord, requester: Requester) -> RotationRecord:
    """Note that nothing is left to do."""
    ended = replace(record, ended=unix_seconds(transaction.clock))
    transaction.rotations.change(ended)
    change_epoch(transaction)
    log_rotation(transaction, ended, requester, {"ended": True})
    return ended


def log_rotation(
    transaction: Transaction, record: RotationRecord, requester: Requester, fields: Mapping[str, Field] | None = None
) -> None:
    """Log how far a rotation is."""
    members: dict[str, Field] = {"phase": record.phase, "old_root": record.old_root, "new_root": record.new_root}
    members |= fields or {}
    transaction.log(requester.event(Action.CA_ROTATE, reference_of_rotation(record), fields=members))


def reference_of_rotation(record: RotationRecord) -> ObjectRef:
    """A rotation as entries name it."""
    return ObjectRef(type="root-rotation", id=str(record.id), version=record.new_generation)


def _keep_nodes(
    transaction: Transaction, record: RotationRecord, before: Rotation | None, after: Rotation, requester: Requester
) -> None:
    former = _steps(before) if before is not None else {}
    moved = [(node, step) for node, step in _steps(after).items() if former.get(node) != step]
    now = unix_seconds(transaction.clock)
    for start in range(0, len(moved), ROWS_PER_ENTRY):
        part = moved[start : start + ROWS_PER_ENTRY]
        for node, step in part:
            moved_to = RotationNode(rotation=record.id, node=node, step=step, since=now)
            transaction.rotations.put_node(moved_to, is_new=node not in former)
        node, step = part[0]
        target = ObjectRef(type="node", id=node) if len(moved) == 1 else reference_of_rotation(record)
        fields: Mapping[str, Field] = {"step": step, "nodes": len(part), "rotation": str(record.id)}
        transaction.log(requester.event(Action.CA_ROTATE_NODE, target, fields=fields))


def _rotation(record: RotationRecord, nodes: Iterable[RotationNode]) -> Rotation:
    sets: dict[str, set[str]] = {name: set() for name in NODE_SETS}
    for node in nodes:
        sets[node.step].add(node.node)
    return Rotation(
        phase=Phase(record.phase),
        old_root=record.old_root,
        new_root=record.new_root,
        cross_signed=record.cross_signed or None,
        **{name: frozenset(members) for name, members in sets.items()},
    )


def _steps(state: Rotation) -> dict[str, str]:
    """Each node's step, by node id in ascending order."""
    found = {node: name for name, nodes in zip(NODE_SETS, state.steps, strict=True) for node in nodes}
    return dict(sorted(found.items()))
