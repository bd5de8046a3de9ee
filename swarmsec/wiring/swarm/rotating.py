"""Leading an adopted Swarm to another root of ours: out to a root of its own, our rotation, and back in."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

from swarmsec.errors import Denied, Unavailable
from swarmsec.keys.signers import SealedKeys
from swarmsec.services.convergence import Held
from swarmsec.services.records import KeyKind
from swarmsec.services.requester import Requester
from swarmsec.services.rotate_swarm_root import active_root, begin_swarm_rotation, end_swarm_rotation
from swarmsec.services.show_authority import root_bundle
from swarmsec.services.swarm_link import LinkState, load_link
from swarmsec.wiring.home import Home
from swarmsec.wiring.rootrotation import Watch, begin, watch
from swarmsec.wiring.swarm.adopting import Adoption
from swarmsec.wiring.swarm.evicting import evict
from swarmsec.wiring.swarm.opening import open_swarm
from swarmsec.wiring.swarm.releasing import Releasing, look_at_release
from swarmsec.wiring.swarm.signing_endpoint import SigningUrl, dial
from swarmsec.wiring.swarm.watching import RotationWatcher, Sleep

SERVED_TRIES: Final = 100
LOOK_SECONDS: Final = 0.1
AGAIN: Final = "swarmsec ca rotate"


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmRotation:
    """The work on one Swarm.

    Args:
        timeout: of each of the two moves.
        key_kind: of the new root; as the present one without it.
    """

    home: Home
    keys: SealedKeys
    requester: Requester
    watcher: RotationWatcher
    timeout: timedelta
    key_kind: KeyKind | None = None
    sleep: Sleep = time.sleep

    def carry_out(self, without: Sequence[str] = ()) -> Sequence[Held]:
        """Do it, or go on where an earlier call ended.

        Args:
            without: nodes, by id or host name, that are evicted so that nobody waits for them.

        Returns:
            each node with its certificate of the new root.

        Raises:
            Denied: something stands against it.
            Unavailable: not finished in time, or the engine went away; repeat to go on.
        """
        for name in without:
            evict(self.home, open_swarm(self.home, None), name, self.requester, reason="rotation", sleep=self.sleep)
        leaving = self.home.store.write(partial(begin_swarm_rotation, requester=self.requester))
        if self.home.store.read(active_root) == leaving:
            self._release()
            self._rotate_own()
        held = self._adopt()
        self.home.store.write(partial(end_swarm_rotation, requester=self.requester))
        return held

    def _release(self) -> None:
        link = self.home.store.read(load_link)
        if link is None or link.state is LinkState.RELEASED:
            return
        swarm = open_swarm(self.home, None)
        found = look_at_release(self.home, swarm)
        goes_on = found.is_under_way or found.is_there
        if found.blockers and not goes_on:
            why = found.blockers[0].text
            self.home.store.write(partial(end_swarm_rotation, requester=self.requester, failure=why))
            hint = f"{found.blockers[0].hint}; or leave nodes out for good: {AGAIN} --finish-without NODE"
            raise Denied(f"{len(found.blockers)} of the checks stand against it: {why}", hint=hint)
        self.watcher.says("first move: to a root of the Swarm's own")
        Releasing(home=self.home, swarm=swarm, sleep=self.sleep).carry_out(
            found, self.requester, self.watcher, self.timeout
        )

    def _rotate_own(self) -> None:
        begun = begin(self.home, self.keys, self.requester, self.key_kind)
        seconds = self.timeout.total_seconds()
        status = watch(
            self.home, self.keys, self.requester, begun.record, Watch(timeout=seconds, tell=lambda status: None)
        )
        if not status.is_over:
            raise Unavailable("our own nodes have not all followed", hint=f"see: {AGAIN} --follow; then repeat")

    def _adopt(self) -> Sequence[Held]:
        swarm = open_swarm(self.home, None)
        if swarm.link is None:
            raise Denied("this home has no Swarm any more", hint="adopt it: swarmsec swarm adopt --url URL")
        url = SigningUrl.parse(swarm.link.url)
        self._wait_served(url)
        self.watcher.says("second move: to our new root")
        adoption = Adoption(home=self.home, keys=self.keys, swarm=swarm, url=url, sleep=self.sleep)
        return adoption.carry_out(adoption.look(), self.requester, self.watcher, self.timeout)

    def _wait_served(self, url: SigningUrl) -> None:
        """The Swarm's leader dials under the new root alone, so the server must show a certificate of it."""
        root = self.home.store.read(root_bundle).decode("ascii")
        for _ in range(SERVED_TRIES):
            dialled = dial(url, root)
            if dialled.answers:
                return
            self.sleep(LOOK_SECONDS)
        raise Unavailable(f"{url.text} under the new root: {dialled.problem}", hint=f"start the server; then: {AGAIN}")
