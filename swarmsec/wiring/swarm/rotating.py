"""Leading an adopted Swarm to another root of ours: out to a root of its own, our rotation, and back in.

Until our old root is given up there is a way back: out to the end, since some nodes may stand under the Swarm's own
root already and nothing but another rotation makes them leave it, and in again under the old root.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

from swarmsec.errors import Denied, NotFound, Unavailable
from swarmsec.keys.signers import SealedKeys
from swarmsec.services.convergence import Held
from swarmsec.services.release_swarm import conclude_release
from swarmsec.services.requester import Requester
from swarmsec.services.rotate_authority import abort_rotation
from swarmsec.services.rotate_swarm_root import active_root, begin_swarm_rotation, end_swarm_rotation, root_to_leave
from swarmsec.services.rotation_roots import running_rotation
from swarmsec.services.show_authority import root_bundle
from swarmsec.services.swarm_link import LinkState, load_link
from swarmsec.wiring.home import Home
from swarmsec.wiring.nextroots import LIKE_THE_PRESENT, WantedRoot
from swarmsec.wiring.rootrotation import Watch, begin, watch
from swarmsec.wiring.swarm.adopting import Adoption
from swarmsec.wiring.swarm.evicting import evict
from swarmsec.wiring.swarm.opening import open_swarm
from swarmsec.wiring.swarm.releasing import Releasing, look_at_release
from swarmsec.wiring.swarm.signing_endpoint import SigningUrl, dial
from swarmsec.wiring.swarm.watching import RotationWatcher, Sleep, StillMoving

SERVED_TRIES: Final = 100
LOOK_SECONDS: Final = 0.1
AGAIN: Final = "swarmsec ca rotate"
BACK: Final = "swarmsec ca rotate --abort"
CALLED_OFF: Final = "called off"


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmRotation:
    """The work on one Swarm.

    Args:
        timeout: of each of the two moves.
        wanted: what the new root is to be.
    """

    home: Home
    keys: SealedKeys
    requester: Requester
    watcher: RotationWatcher
    timeout: timedelta
    wanted: WantedRoot = LIKE_THE_PRESENT
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
        self._evict(without)
        leaving = self.home.store.write(partial(begin_swarm_rotation, requester=self.requester))
        if self.home.store.read(active_root) == leaving:
            self._release()
            self._rotate_own()
        elif self.home.store.read(running_rotation) is not None:
            self._rotate_own()
        held = self._adopt()
        self.home.store.write(partial(end_swarm_rotation, requester=self.requester))
        return held

    def call_off(self, without: Sequence[str] = ()) -> Sequence[Held]:
        """Go back to the root that the Swarm had from us, or go on going back.

        Args:
            without: as for ``carry_out``.

        Returns:
            each node with its certificate of that root.

        Raises:
            NotFound: no rotation of the Swarm is under way.
            Denied: the old root is given up.
            Unavailable: as ``carry_out``; repeat to go on.
        """
        leaving = self.home.store.read(root_to_leave)
        if leaving is None:
            raise NotFound("no rotation of the Swarm's root is under way", hint="see: swarmsec swarm status")
        self._stop_own()
        if self.home.store.read(active_root) != leaving:
            raise Denied("the old root is given up, and its key erased", hint=f"go on to the new one: {AGAIN}")
        self._evict(without)
        self._give_up_release()
        held = self._adopt()
        self.home.store.write(partial(end_swarm_rotation, requester=self.requester, failure=CALLED_OFF))
        return held

    def _evict(self, without: Sequence[str]) -> None:
        for name in without:
            evict(self.home, open_swarm(self.home, None), name, self.requester, reason="rotation", sleep=self.sleep)

    def _give_up_release(self) -> None:
        """End a release that the Swarm has heard of; drop one that it has not."""
        link = self.home.store.read(load_link)
        if link is None or link.state is not LinkState.RELEASING:
            return
        found = look_at_release(self.home, open_swarm(self.home, None))
        if found.begun is None or found.is_under_way or found.is_there:
            self._release()
            return
        self.home.store.write(
            partial(conclude_release, release=found.begun, nodes=(), requester=self.requester, failure=CALLED_OFF)
        )

    def _release(self) -> None:
        link = self.home.store.read(load_link)
        if link is None or link.state is LinkState.RELEASED:
            return
        if link.state is LinkState.ADOPTING:
            # A way back that was interrupted: it has to end before the way out can begin.
            self._adopt()
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
        begun = begin(self.home, self.keys, self.requester, self.wanted)
        seconds = self.timeout.total_seconds()
        status = watch(
            self.home, self.keys, self.requester, begun.record, Watch(timeout=seconds, tell=lambda status: None)
        )
        if not status.is_over:
            raise StillMoving("our own nodes have not all followed", hint=f"they do by themselves; repeat: {AGAIN}")

    def _stop_own(self) -> None:
        if self.home.store.read(running_rotation) is None:
            return
        record = self.home.store.write(lambda transaction: abort_rotation(transaction, self.keys, self.requester))
        seconds = self.timeout.total_seconds()
        status = watch(self.home, self.keys, self.requester, record, Watch(timeout=seconds, tell=lambda status: None))
        if not status.is_over:
            raise StillMoving("our own nodes have not all come back", hint=f"they do by themselves; repeat: {BACK}")

    def _adopt(self) -> Sequence[Held]:
        swarm = open_swarm(self.home, None)
        if swarm.link is None:
            raise Denied("this home has no Swarm any more", hint="adopt it: swarmsec swarm adopt --url URL")
        url = SigningUrl.parse(swarm.link.url)
        self._wait_served(url)
        self.watcher.says("second move: to our root")
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
