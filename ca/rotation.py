"""Root rotation as a pure state machine: what has happened, and what may happen next.

    prepared ─ CrossSigned ─► cross_signed ─ Distribute ─► distributing ─► reissuing ─► converging ─ Retire ─► retired
        every phase before retired ─ Abort ─► aborted ─ Returned, for each node that had moved ─► settled

distributing ends when every node has acknowledged the bundle of both roots, reissuing when every node has been given
a certificate of the new one, and Retire is taken when every node has been seen with it. So no node meets a certificate
that it cannot verify, whoever is slow. A node that does not come back is left out with FinishWithout, never by itself.

Events are facts that may be told twice or late, after a crash for example: what is known already changes nothing.
Storing the state, doing the work and telling the nodes is left to the caller, which stores first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from ca.errors import InvalidRequest, InvalidRotation, RotationRefused
from ca.identity import parse_node_id
from ca.rotation_events import (
    Abort,
    Begin,
    BundleAcknowledged,
    Converged,
    CrossSigned,
    Distribute,
    Enrolled,
    Event,
    FinishWithout,
    NodeEvent,
    Reissued,
    Retire,
    Returned,
)
from ca.rotation_state import MAX_NODES, NODE_SETS, Phase, Rotation, is_fingerprint, phase_of

__all__ = [
    "Abort",
    "Begin",
    "BundleAcknowledged",
    "Converged",
    "CrossSigned",
    "Distribute",
    "Enrolled",
    "Event",
    "FinishWithout",
    "Phase",
    "Reissued",
    "Retire",
    "Returned",
    "Rotation",
    "advance",
    "advance_all",
]

_NAMED = 5
_ORDER = {phase: number for number, phase in enumerate(Phase)}


def advance(state: Rotation | None, event: Event) -> Rotation:
    """Take an event.

    Args:
        state: None where no rotation is known.
        event: what happened.

    Returns:
        the next state; the same one when the event says what is known already.

    Raises:
        RotationRefused: naming why the event cannot be taken.
    """
    if isinstance(event, Begin):
        return _begun(state, event)
    if state is None:
        raise RotationRefused("expected a rotation, got none", hint="start one with 'swarmsec ca rotate'")
    if state.phase.is_over:
        return _after_the_end(state, event)
    match event:
        case CrossSigned():
            return _cross_signed(state, event)
        case Distribute():
            return _distributing(state)
        case Enrolled() | BundleAcknowledged() | Reissued() | Converged():
            return _node_advanced(state, event)
        case FinishWithout():
            return _finished_without(state, event)
        case Abort():
            return replace(state, phase=Phase.ABORTED)
        case Returned():
            raise RotationRefused("expected a rotation that was called off, for a node to return from")
        case Retire():
            return _retired(state)
        case _:
            assert_never(event)


def advance_all(state: Rotation | None, events: Iterable[Event]) -> Rotation | None:
    """Take events one after another.

    Raises:
        RotationRefused: for the first that cannot be taken; nothing of the events before it is kept.
    """
    for event in events:
        state = advance(state, event)
    return state


def _begun(state: Rotation | None, event: Begin) -> Rotation:
    if state is not None and not state.phase.is_over:
        return _joined(state, event)
    if state is not None and event.old_root != (state.new_root if state.phase is Phase.RETIRED else state.old_root):
        raise RotationRefused("expected a rotation from the root that the one before left active")
    _verify_names(event.nodes)
    # With nobody who trusts the old root there is nobody to wait for.
    phase = Phase.PREPARED if event.nodes else Phase.RETIRED
    try:
        return Rotation(phase=phase, old_root=event.old_root, new_root=event.new_root, pending=event.nodes)
    except InvalidRotation as error:
        raise RotationRefused(str(error)) from error


def _joined(state: Rotation, event: Begin) -> Rotation:
    """The second of two that begin follows the first; nodes that enrolled in between are not lost."""
    if event.old_root != state.old_root:
        raise RotationRefused("expected a rotation from the root that the running one leaves")
    for node in sorted(event.nodes - state.nodes):
        state = _enrolled(state, node)
    return state


def _after_the_end(state: Rotation, event: Event) -> Rotation:
    """What ended stays ended, and being told so again is no error; who had moved before an abort comes back."""
    match event, state.phase:
        case (Retire(), Phase.RETIRED) | (Abort(), Phase.ABORTED):
            return state
        case Returned(), Phase.ABORTED:
            return _moved(state, state.on_new_root & {event.node}, to="pending")
        case FinishWithout(), Phase.ABORTED:
            return _finished_without(state, event)
        case _:
            raise RotationRefused(f"expected a running rotation, got one that is {state.phase.value}")


def _cross_signed(state: Rotation, event: CrossSigned) -> Rotation:
    if not is_fingerprint(event.fingerprint):
        raise RotationRefused("expected the SHA-256 of a certificate in lower-case hex")
    phase = Phase.CROSS_SIGNED if state.phase is Phase.PREPARED else state.phase
    return replace(state, phase=phase, cross_signed=event.fingerprint)


def _distributing(state: Rotation) -> Rotation:
    match state.phase:
        case Phase.PREPARED:
            raise RotationRefused("expected a cross-signed root before both roots are served")
        case Phase.CROSS_SIGNED:
            # Where everybody has been left out, there is nobody to serve.
            phase = phase_of(Phase.DISTRIBUTING, pending=state.pending, acknowledged=state.acknowledged)
            return replace(state, phase=phase)
        case _:
            return state


def _retired(state: Rotation) -> Rotation:
    if state.phase is Phase.CONVERGING and not state.unconverged:
        return replace(state, phase=Phase.RETIRED)
    if not state.unconverged:
        raise RotationRefused(f"expected a rotation that is converging, got one that is {state.phase.value}")
    raise RotationRefused(
        f"expected every node to use the new root, got {_some(state.unconverged)} that do not",
        hint="wait for them, or leave them out with 'swarmsec ca rotate --finish-without NODE'",
    )


def _finished_without(state: Rotation, event: FinishWithout) -> Rotation:
    if not event.nodes:
        raise RotationRefused("expected at least one node to go on without")
    if unknown := event.nodes - state.nodes:
        raise RotationRefused(f"expected nodes of this rotation, got {_some(unknown)}")
    done = state.nodes - state.on_new_root if state.phase is Phase.ABORTED else state.converged
    return _moved(state, event.nodes - done, to="excluded")


def _node_advanced(state: Rotation, event: NodeEvent) -> Rotation:
    if isinstance(event, Enrolled):
        return _enrolled(state, event.node)
    if not state.is_known(event.node):
        raise RotationRefused(f"expected a node of this rotation, got {event.node[:80]!r}")
    match event:
        case BundleAcknowledged():
            _verify_reached(state, Phase.DISTRIBUTING, "before both roots were served")
            return _moved(state, state.pending & {event.node}, to="acknowledged")
        case Reissued():
            _verify_reached(state, Phase.REISSUING, "before every node trusts the new root")
            return _moved(state, state.acknowledged & {event.node}, to="reissued")
        case Converged():
            _verify_reached(state, Phase.REISSUING, "before the new root issues")
            # Being seen with the certificate outweighs a record of handing it out, and having been given up.
            return _moved(state, frozenset({event.node}) - state.converged, to="converged")
        case _:
            assert_never(event)


def _enrolled(state: Rotation, node: str) -> Rotation:
    """A node gets both roots when it joins, and its certificate from whichever root issues; both by the phase."""
    if state.is_known(node) and node not in state.excluded:
        return state
    _verify_names({node})
    if len(state.nodes) == MAX_NODES and not state.is_known(node):
        raise RotationRefused(f"expected at most {MAX_NODES} nodes")
    issues_new = state.phase in (Phase.REISSUING, Phase.CONVERGING)
    return _moved(state, frozenset({node}), to="reissued" if issues_new else "pending")


def _moved(state: Rotation, nodes: frozenset[str], *, to: str) -> Rotation:
    """Put nodes into one set and take them out of the others; the last one may end a phase."""
    if not nodes:
        return state
    sets = {name: getattr(state, name) - nodes for name in NODE_SETS}
    sets[to] |= nodes
    phase = phase_of(state.phase, pending=sets["pending"], acknowledged=sets["acknowledged"])
    return Rotation(
        phase=phase,
        old_root=state.old_root,
        new_root=state.new_root,
        cross_signed=state.cross_signed,
        **sets,
    )


def _verify_reached(state: Rotation, phase: Phase, when: str) -> None:
    if _ORDER[state.phase] < _ORDER[phase]:
        raise RotationRefused(f"expected a rotation that is {phase.value}, got an event {when}")


def _verify_names(nodes: Iterable[str]) -> None:
    """Names enter here and in stored records; beyond, every node is one that is known."""
    for node in nodes:
        try:
            parse_node_id(node)
        except InvalidRequest as error:
            raise RotationRefused(str(error)) from error


def _some(nodes: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    names = sorted(nodes)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(name[:80] for name in names[:_NAMED]) + more
