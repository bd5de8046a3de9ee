"""Whom a root rotation waits for: where SwarmKit says nothing of those that hold one up, each has a name here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import assert_never

from ca.errors import InvalidRequest
from ca.rotation_state import NODE_SETS, Phase, Rotation

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocker:
    """A node that keeps a rotation from its end.

    Args:
        node: its id.
        awaits: what it has to do next: ``acknowledged``, ``reissued`` or ``converged``; after an abort ``returned``.
        last_seen: when it was last heard of, UTC; None for never.
    """

    node: str
    awaits: str
    last_seen: datetime | None


def waited_for(state: Rotation) -> frozenset[str]:
    """The nodes that the present phase waits for; none where it waits for an event that is no node's."""
    match state.phase:
        case Phase.DISTRIBUTING:
            return state.pending
        case Phase.REISSUING:
            return state.acknowledged
        case Phase.CONVERGING:
            return state.reissued
        case Phase.PREPARED | Phase.CROSS_SIGNED | Phase.RETIRED | Phase.ABORTED:
            return frozenset()
        case _:
            assert_never(state.phase)


def blockers(state: Rotation, *, last_seen: Mapping[str, datetime]) -> tuple[Blocker, ...]:
    """Name who keeps a rotation from its end.

    Args:
        state: of the rotation.
        last_seen: by node id, aware of their zone; nodes that were never heard of are absent.

    Returns:
        every node that has neither converged nor been left out, those unheard of for longest first; after an abort
        those that have not come back.

    Raises:
        InvalidRequest: for a time without zone.
    """
    steps = dict(zip(NODE_SETS, state.steps, strict=True))
    found = [
        Blocker(node=node, awaits=awaits, last_seen=_in_utc(last_seen.get(node)))
        for step, awaits in steps_left(state.phase).items()
        for node in steps[step]
    ]
    return tuple(sorted(found, key=lambda blocker: (blocker.last_seen or _LONG_AGO, blocker.node)))


def steps_left(phase: Phase) -> Mapping[str, str]:
    """The steps whose nodes keep a rotation from its end, as ``NODE_SETS`` names them, and what each has to do next."""
    match phase:
        case Phase.RETIRED:
            return {}
        case Phase.ABORTED:
            return {"reissued": "returned", "converged": "returned"}
        case Phase.PREPARED | Phase.CROSS_SIGNED | Phase.DISTRIBUTING | Phase.REISSUING | Phase.CONVERGING:
            return {"pending": "acknowledged", "acknowledged": "reissued", "reissued": "converged"}
        case _:
            assert_never(phase)


def _in_utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise InvalidRequest("expected a time with its zone")
    return moment.astimezone(UTC)
