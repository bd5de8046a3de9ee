"""Whom a root rotation waits for, and whom to turn to next at which pace.

SwarmKit asks at most ten nodes per second and says nothing of those that hold a rotation up; here the pace is the
caller's and every node that is waited for has a name.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import assert_never

from ca.errors import InvalidRequest
from ca.rotation_state import Phase, Rotation

MAX_RATE = 10_000
MAX_BURST = 10_000
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocker:
    """A node that keeps the old root from being retired.

    Args:
        node: its id.
        awaits: the set it would go to next: ``acknowledged``, ``reissued`` or ``converged``.
        failed: whether its last attempt failed.
        last_seen: when it was last heard of, UTC; None for never.
    """

    node: str
    awaits: str
    failed: bool
    last_seen: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast nodes are turned to: a token bucket, kept as the moment up to which its tokens are spent.

    Args:
        rate: nodes per second, 1 to 10,000.
        burst: the most nodes at once after a rest, 1 to 10,000.
        spent_until: aware of its zone; None for a bucket that is full.

    Raises:
        InvalidRequest: for values out of range.
    """

    rate: int
    burst: int
    spent_until: datetime | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.rate <= MAX_RATE or not 1 <= self.burst <= MAX_BURST:
            raise InvalidRequest(f"expected a rate of 1 to {MAX_RATE} per second and a burst of 1 to {MAX_BURST}")
        if self.spent_until is not None and self.spent_until.tzinfo is None:
            raise InvalidRequest("expected a time with its zone")


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
        every node that has neither converged nor been left out, those unheard of for longest first; none once the
        rotation is over.

    Raises:
        InvalidRequest: for a time without zone.
    """
    if state.phase.is_over:
        return ()
    steps = ((state.pending, "acknowledged"), (state.acknowledged, "reissued"), (state.reissued, "converged"))
    found = [
        Blocker(node=node, awaits=awaits, failed=node in state.failed, last_seen=_in_utc(last_seen.get(node)))
        for nodes, awaits in steps
        for node in nodes
    ]
    return tuple(sorted(found, key=lambda blocker: (blocker.last_seen or _LONG_AGO, blocker.node)))


def next_batch(
    state: Rotation, pace: Pace, *, now: datetime, in_flight: Set[str] = frozenset()
) -> tuple[tuple[str, ...], Pace]:
    """Choose whom to turn to now.

    Args:
        state: of the rotation.
        pace: as the batch before left it.
        now: aware of its zone. A clock that goes back costs what was saved up, and no waiting.
        in_flight: nodes that were turned to and have not answered.

    Returns:
        nodes that the phase waits for, in the order of their ids, those whose last attempt failed after the others;
        and the pace to pass next time.

    Raises:
        InvalidRequest: for a time without zone.
    """
    moment = _in_utc(now)
    if moment is None:
        raise InvalidRequest("expected a time")
    interval = timedelta(seconds=1) / pace.rate
    waiting = sorted(waited_for(state) - in_flight, key=lambda node: (node in state.failed, node))
    full = moment - pace.burst * interval
    spent = full if pace.spent_until is None else min(max(pace.spent_until.astimezone(UTC), full), moment)
    chosen = tuple(waiting[: (moment - spent) // interval])
    return chosen, Pace(rate=pace.rate, burst=pace.burst, spent_until=spent + len(chosen) * interval)


def _in_utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise InvalidRequest("expected a time with its zone")
    return moment.astimezone(UTC)
