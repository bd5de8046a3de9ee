"""Rotating the root from a command: begin or follow, do our own steps, and watch until it is over.

A server in the same home does the same steps, whoever of the two comes first. Nodes can follow only where one runs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from swarmsec.errors import UsageProblem
from swarmsec.keys.signers import SealedKeys
from swarmsec.services.nodes.enrolled_nodes import enrolled_nodes
from swarmsec.services.ports import Transaction
from swarmsec.services.requester import Requester
from swarmsec.services.rotation.rotate_authority import Begun, Held, begin_rotation, do_next_step, is_step_due
from swarmsec.services.rotation.rotation_records import RotationRecord
from swarmsec.services.rotation.rotation_status import MAX_NAMED, RotationStatus, rotation_status
from swarmsec.services.swarm.swarm_link import load_link
from swarmsec.wiring.ca.nextroots import WantedRoot, make_ready
from swarmsec.wiring.ca.tokenroots import token_settings
from swarmsec.wiring.homes.home import Home

LOOK_SECONDS: Final = 0.5
SHORTEST_LOOK_SECONDS: Final = 0.05
"""While the last nodes come, one after the other."""
RENEW_SECONDS: Final = 2.5
"""After which the lease is renewed where there is no step to do, long before it ends."""
_HOLDER_RANDOM_BYTES: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How long a rotation is watched, and who is told.

    Args:
        timeout: in seconds; None for ever.
        tell: called with what is new at each look.
    """

    timeout: float | None
    tell: Callable[[RotationStatus], None]
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic


def begin(home: Home, keys: SealedKeys, requester: Requester, wanted: WantedRoot) -> Begun:
    """Begin a rotation, or find the one that runs.

    Raises:
        UsageProblem: nodes of a Swarm hold certificates of ours: it moves them itself.
        UsageProblem, KeyUnavailable, WrongUnlock: the new root cannot be had.
    """
    if wanted.uri is not None:
        # Before a key is made in the token for nothing.
        home.store.read(_own_nodes)
    with token_settings(home, keys, wanted.settings) as keep:
        next_root = make_ready(home, keys, requester, wanted)
        keep()
        return home.store.write(
            lambda transaction: begin_rotation(
                transaction, keys, requester, nodes=_own_nodes(transaction), wanted=next_root
            )
        )


def _own_nodes(transaction: Transaction) -> frozenset[str]:
    """Who has to follow by themselves.

    Raises:
        UsageProblem: others hold certificates of ours too.
    """
    enrolled, link = enrolled_nodes(transaction), load_link(transaction)
    if enrolled.of_swarm or (link is not None and link.state.is_ours):
        raise UsageProblem(
            f"expected nodes that follow by themselves, got a Swarm that signs with this authority, and"
            f" {len(enrolled.of_swarm)} nodes of it with our certificates",
            hint="a Swarm moves its nodes itself, to the root that it is told: docker swarm ca --rotate",
        )
    return enrolled.own


def carry_on(home: Home, keys: SealedKeys, requester: Requester, record: RotationRecord) -> RotationStatus:
    """Do every step that can be done now without a node, and say how far it is."""
    holder = f"process {os.getpid()} on {os.uname().nodename} ({home.clock.random(_HOLDER_RANDOM_BYTES).hex()})"
    return _carry_on(home, keys, requester, record, holder)


def watch(home: Home, keys: SealedKeys, requester: Requester, record: RotationRecord, watched: Watch) -> RotationStatus:
    """Carry a rotation on until nothing is left to do, or the time is over.

    Returns:
        how far it is then.
    """
    holder = f"process {os.getpid()} on {os.uname().nodename} ({home.clock.random(_HOLDER_RANDOM_BYTES).hex()})"
    ends = None if watched.timeout is None else watched.monotonic() + watched.timeout
    renews, before, pause = watched.monotonic(), None, 0.0
    while True:
        # Nobody is named before the end.
        is_due, status = home.store.read(lambda transaction: _look(transaction, record))
        if is_due or watched.monotonic() >= renews:
            renews = watched.monotonic() + RENEW_SECONDS
            status = _carry_on(home, keys, requester, record, holder, named=0)
        watched.tell(status)
        if status.is_over:
            return status
        if ends is not None and watched.monotonic() >= ends:
            return _carry_on(home, keys, requester, record, holder)
        pause = pause_after(before, status, pause)
        before = status.waiting
        watched.sleep(pause)


def _look(transaction: Transaction, record: RotationRecord) -> tuple[bool, RotationStatus]:
    return is_step_due(transaction), rotation_status(transaction, record, named=0)


def pause_after(before: int | None, status: RotationStatus, pause: float) -> float:
    """How long to wait for the next look: half as long as the rest takes at the pace of late, so that an end is seen.

    Args:
        before: how many nodes kept the rotation from its end at the last look.
        pause: seconds since then.
    """
    came = 0 if before is None else before - status.waiting
    expected = status.waiting / came * pause / 2 if came > 0 else LOOK_SECONDS
    return min(max(expected, SHORTEST_LOOK_SECONDS), LOOK_SECONDS)


def _carry_on(
    home: Home, keys: SealedKeys, requester: Requester, record: RotationRecord, holder: str, named: int = MAX_NAMED
) -> RotationStatus:
    while True:
        done = home.store.write(lambda transaction: do_next_step(transaction, keys, requester, holder))
        if done is None or isinstance(done, Held) or done.ended:
            return home.store.read(lambda transaction: rotation_status(transaction, record, named=named))
