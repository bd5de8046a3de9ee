"""Watching a rotation of a Swarm's root: node by node, through engines that go away for a while, to a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from cryptography import x509

from swarmsec.clock import Clock
from swarmsec.errors import SwarmsecError, Unavailable, UsageProblem
from swarmsec.services.swarm.convergence import Convergence, converge_on
from swarmsec.services.swarm.preflight import names_of
from swarmsec.services.swarm.swarm_ports import SwarmReader
from swarmsec.services.swarm.swarm_records import SwarmNode

LOOK_SECONDS: Final = 0.2

Sleep = Callable[[float], None]


class StillMoving(Unavailable):
    """The time to wait is over, and the work goes on by itself in the Swarm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationWatcher:
    """Who is told how it goes."""

    begins: Callable[[int], None]
    """So many nodes take part."""
    renewed: Callable[[SwarmNode], None]
    """A node has its new certificate; once for each."""
    says: Callable[[str], None]
    """Something else worth knowing, once."""


@dataclass(slots=True, kw_only=True)
class RotationWatch:
    """One wait for the end of a rotation.

    Args:
        reader: the Swarm.
        root: to which it rotates.
        timeout: after which the wait ends, not the rotation.
        again: how the person goes on waiting.
    """

    reader: SwarmReader
    root: x509.Certificate
    clock: Clock
    timeout: timedelta
    watcher: RotationWatcher
    again: str
    sleep: Sleep = time.sleep

    def wait(self) -> Sequence[SwarmNode]:
        """Wait until every node has its certificate and trusts the root alone.

        Returns:
            the nodes as they are then.

        Raises:
            StillMoving: the time is over; it names the nodes that are waited for.
            Unavailable: it is over, and the engine was away.
            UsageProblem: the rotation was stopped, or goes elsewhere.
        """
        deadline = self.clock.monotonic_us() + round(self.timeout.total_seconds() * 1e6)
        seen: set[str] = set()
        last: Convergence | None = None
        lost = ""
        begun = False
        while True:
            try:
                state, nodes = self.reader.swarm(), self.reader.nodes()
                last = converge_on(self.root, state, nodes)
                lost = ""
            except Unavailable as error:
                if not lost:
                    self.watcher.says(f"waiting for the engine: {error}")
                lost = str(error)
            else:
                if not begun:
                    begun = True
                    self.watcher.begins(len(nodes))
                self._tell(last, seen)
                if last.is_over:
                    return nodes
                self._verify_goes_on(state.is_rotating, last)
            if self.clock.monotonic_us() >= deadline:
                raise self._late(last, lost)
            self.sleep(LOOK_SECONDS)

    def _tell(self, convergence: Convergence, seen: set[str]) -> None:
        for node in convergence.renewed:
            if node.id not in seen:
                seen.add(node.id)
                self.watcher.renewed(node)

    def _verify_goes_on(self, is_rotating: bool, convergence: Convergence) -> None:
        if not is_rotating and convergence.waiting:
            raise UsageProblem(
                f"the rotation ended without {names_of(convergence.waiting)}: somebody stopped it",
                hint=f"see: docker swarm ca; then repeat: {self.again}",
            )

    def _late(self, last: Convergence | None, lost: str) -> SwarmsecError:
        kind: type[Unavailable] = StillMoving
        if lost or last is None:
            kind, what = Unavailable, lost or "nothing was heard of the Swarm"
        elif last.waiting:
            what = f"waiting for {names_of(last.waiting)}"
        else:
            what = "waiting for the nodes to take up the root"
        seconds = round(self.timeout.total_seconds())
        return kind(
            f"not finished after {seconds} s: {what}" if seconds else what,
            hint=f"the rotation goes on; wait again with: {self.again}; a node that never comes back blocks it until"
            " docker node rm --force NODE",
        )
