"""Rotations for tests: roots that are only named, and the events of one that goes through."""

from __future__ import annotations

from collections.abc import Iterable

from ca.rotation import (
    Begin,
    BundleAcknowledged,
    Converged,
    CrossSigned,
    Distribute,
    Event,
    Phase,
    Reissued,
    Retire,
    Rotation,
    advance,
)

OLD, NEW, CROSS = "0a" * 32, "1b" * 32, "2c" * 32
NODES = ("anna", "bert", "cara")


def begin(*nodes: str, old_root: str = OLD, new_root: str = NEW) -> Begin:
    return Begin(old_root=old_root, new_root=new_root, nodes=frozenset(nodes))


def straight(*nodes: str) -> list[Event]:
    """Every event of a rotation in which nothing goes wrong."""
    return [
        begin(*nodes),
        CrossSigned(fingerprint=CROSS),
        Distribute(),
        *(BundleAcknowledged(node=node) for node in nodes),
        *(Reissued(node=node) for node in nodes),
        *(Converged(node=node) for node in nodes),
        Retire(),
    ]


def run(events: Iterable[Event], state: Rotation | None = None) -> Rotation:
    for event in events:
        state = advance(state, event)
    assert state is not None
    return state


def at(phase: Phase) -> Rotation:
    """A rotation of three nodes as it first comes to a phase."""
    state: Rotation | None = None
    for event in straight(*NODES):
        state = advance(state, event)
        if state.phase is phase:
            return state
    raise AssertionError(f"no event leads to {phase}")
