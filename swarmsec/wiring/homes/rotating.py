"""Rotating a home's keys from beginning to end, or following the process that is at it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from swarmsec.errors import Changed
from swarmsec.keys.keyring import KeyRing
from swarmsec.services.homes.rotate_keys import (
    Begun,
    Finished,
    Held,
    Worker,
    begin_rotation,
    finish_rotation,
    rewrap_batch,
)
from swarmsec.services.requester import Requester
from swarmsec.wiring.homes.home import Home

PAUSE_SECONDS: Final = 0.2
_HOLDER_RANDOM_BYTES: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    """Who is told how a rotation goes."""

    waits: Callable[[str], None]
    """Somebody else is at it; called once for each, with their name."""
    begins: Callable[[Begun], None]
    """The work begins or is taken up."""
    moved: Callable[[int], None]
    """So many more records were moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """How a rotation ended."""

    term: int
    destroyed: Sequence[int]
    records: int
    """How many this process moved."""
    resumed: bool
    followed: bool
    """Whether another process did the work, or its end."""


def rotate_keys(
    home: Home, ring: KeyRing, requester: Requester, watcher: Watcher, sleep: Callable[[float], None] = time.sleep
) -> Rotated:
    """Rotate; an unfinished rotation is continued, and one that another process is at is followed to its end.

    Returns:
        how it ended; every record is then under the newest term and no former term exists.
    """
    # The random part tells this life of the process from an earlier one that had the same number.
    holder = f"process {os.getpid()} on {os.uname().nodename} ({home.clock.random(_HOLDER_RANDOM_BYTES).hex()})"
    waited_for: set[str] = set()
    while True:
        begun = home.store.write(
            partial(begin_rotation, ring=ring, requester=requester, holder=holder, followed=bool(waited_for))
        )
        match begun:
            case Held():
                if begun.holder not in waited_for:
                    waited_for.add(begun.holder)
                    watcher.waits(begun.holder)
                sleep(PAUSE_SECONDS)
            case Finished():
                return Rotated(term=begun.term, destroyed=(), records=0, resumed=False, followed=True)
            case Begun():
                try:
                    return _carry_out(home, ring, requester, Worker(holder=holder, fence=begun.fence), begun, watcher)
                except Changed:
                    # We were stopped for longer than the lease lasts; whoever took over is followed.
                    waited_for.add(holder)


def _carry_out(
    home: Home, ring: KeyRing, requester: Requester, worker: Worker, begun: Begun, watcher: Watcher
) -> Rotated:
    watcher.begins(begun)
    moved = 0
    # A second pass finds none left: what was sealed meanwhile is under the new term already.
    while count := _pass(home, ring, requester, worker, watcher):
        moved += count
    destroyed = home.store.write(lambda transaction: finish_rotation(transaction, ring, requester, worker))
    home.store.truncate_write_ahead_log()
    return Rotated(term=begun.term, destroyed=destroyed, records=moved, resumed=begun.resumed, followed=False)


def _pass(home: Home, ring: KeyRing, requester: Requester, worker: Worker, watcher: Watcher) -> int:
    """Go through all names once; returns how many records were moved."""
    total, after = 0, ""
    while True:
        count, after = home.store.write(
            partial(rewrap_batch, ring=ring, requester=requester, worker=worker, after=after)
        )
        if count == 0:
            return total
        total += count
        watcher.moved(count)
