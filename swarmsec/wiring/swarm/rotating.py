"""Leading an adopted Swarm to another root of ours: out to a root of its own, our rotation, and back in.

Until our old root is given up there is a way back: out to the end, since some nodes may stand under the Swarm's own
root already and nothing but another rotation makes them leave it, and in again under the old root.

Nodes, drivers and agents that follow our root by themselves move between the two moves; the second one waits for them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from ca.rotation_state import Phase
from swarmsec.errors import Denied, Unavailable
from swarmsec.keys.signers import SealedKeys
from swarmsec.services.ca.show_authority import root_bundle
from swarmsec.services.ports import Transaction
from swarmsec.services.requester import Requester
from swarmsec.services.rotation.rotate_authority import abort_rotation, finish_without
from swarmsec.services.rotation.rotation_records import RotationRecord
from swarmsec.services.rotation.rotation_roots import running_rotation
from swarmsec.services.rotation.rotation_status import RotationStatus
from swarmsec.services.swarm.convergence import Held
from swarmsec.services.swarm.preflight import names_of
from swarmsec.services.swarm.release_swarm import conclude_release
from swarmsec.services.swarm.rotate_swarm_root import active_root, begin_swarm_rotation, end_swarm_rotation, turn_back
from swarmsec.services.swarm.swarm_link import LinkState, SwarmLink, load_link
from swarmsec.services.swarm.swarm_rotation_records import SwarmRotationRecord, load_swarm_rotation
from swarmsec.wiring.ca.nextroots import LIKE_THE_PRESENT, WantedRoot, wanted_of
from swarmsec.wiring.ca.rootrotation import Watch, begin, watch
from swarmsec.wiring.ca.tokenroots import token_settings, verify_next_key
from swarmsec.wiring.homes.home import Home
from swarmsec.wiring.swarm.adopting import Adoption, Preflight
from swarmsec.wiring.swarm.evicting import evict
from swarmsec.wiring.swarm.opening import OpenSwarm, open_swarm, verify_same_swarm
from swarmsec.wiring.swarm.releasing import Releasing, look_at_release
from swarmsec.wiring.swarm.rotationturn import PATIENCE_SECONDS, RotationTurn, rotation_turn
from swarmsec.wiring.swarm.signing_endpoint import SigningUrl, dial
from swarmsec.wiring.swarm.watching import RotationWatcher, Sleep, StillMoving

SERVED_TRIES: Final = 100
LOOK_SECONDS: Final = 0.1
AGAIN: Final = "swarmsec ca rotate"
BACK: Final = "swarmsec ca rotate --abort"
CALLED_OFF: Final = "called off"
_NAMED: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmRotation:
    """The work on one Swarm.

    Args:
        timeout: of each of the two moves.
        wanted: what the new root is to be; a rotation that is under way knows.
        docker, docker_tls: another engine of the Swarm than the home's own.
        patience: seconds beyond ``timeout`` to wait for another process that is at it.
    """

    home: Home
    keys: SealedKeys
    requester: Requester
    watcher: RotationWatcher
    timeout: timedelta
    wanted: WantedRoot = LIKE_THE_PRESENT
    docker: str | None = None
    docker_tls: Path | None = None
    sleep: Sleep = time.sleep
    patience: float = PATIENCE_SECONDS

    def carry_out(self, without: Sequence[str] = ()) -> Sequence[Held]:
        """Do it, or go on where it was left.

        Args:
            without: nodes that nobody waits for any more: evicted by id or host name, or left out of our own rotation.

        Returns:
            each node with its certificate of the new root.

        Raises:
            UsageProblem: it goes to another root than the wanted one, which stays undone.
            Denied: something stands against it.
            Unavailable: not finished in time, or the engine went away; the server goes on, and so does repeating.
        """
        with token_settings(self.home, self.keys, self.wanted.settings) as keep:
            self._verify_can_begin()
            keep()
            begun = self.home.store.write(
                partial(
                    begin_swarm_rotation,
                    keys=self.keys,
                    requester=self.requester,
                    choice=self.wanted.choice,
                    imported=self.wanted.imported,
                )
            )
            with self._turn(goes_back=False) as work:
                return work._go_forward(begun, without)

    def go_on(self) -> Sequence[Held]:
        """Go on with the rotation under way, as a server does: the way that it goes, as far as it goes at once.

        Returns:
            each node with its certificate; nobody where none is under way any more.

        Raises:
            StillMoving: a move that was begun is under way in the Swarm.
            SwarmsecError: as ``carry_out`` and ``call_off``.
        """
        with rotation_turn(self.home.store, sleep=self.sleep, seconds=0, says=self.watcher.says) as turn:
            record = self.home.store.read(load_swarm_rotation)
            if record is None:
                return ()
            work = replace(self, sleep=_pause_of(turn, goes_back=record.goes_back))
            work._verify_move_is_over()
            return work._go_back(record, ()) if record.goes_back else work._go_forward(record, ())

    def _verify_move_is_over(self) -> None:
        """See that the Swarm waits for us, and not we for the Swarm; each new beginning would leave an entry."""
        link = self.home.store.read(load_link)
        if link is None or link.state not in {LinkState.ADOPTING, LinkState.RELEASING}:
            return
        engine = self._open().engine
        state = engine.swarm()
        if state.is_rotating:
            waiting = [node for node in engine.nodes() if node.issuer != state.issuer]
            what = names_of(waiting) if waiting else "the nodes to take up the root"
            raise StillMoving(f"waiting for {what}", hint=f"wait with: {AGAIN} --follow")

    def call_off(self, without: Sequence[str] = ()) -> Sequence[Held]:
        """Go back to the root that the Swarm had from us, or go on going back.

        Args:
            without: as for ``carry_out``.

        Returns:
            each node with its certificate of that root.

        Raises:
            NotFound: no rotation of the Swarm is under way.
            Denied: the old root is given up.
            Unavailable: as ``carry_out``.
        """
        begun = self.home.store.write(self._turned_back)
        with self._turn(goes_back=True) as work:
            return work._go_back(begun, without)

    def _turned_back(self, transaction: Transaction) -> SwarmRotationRecord:
        record = turn_back(transaction, self.requester)
        if not _stands(transaction, record):
            raise _given_up()
        return record

    def _verify_can_begin(self) -> None:
        """What is refused is refused before anything is on record: a server would go on with it."""
        self._open()
        if self.wanted.uri is not None and self.home.store.read(load_swarm_rotation) is None:
            verify_next_key(self.home, self.keys, self.wanted.uri, self.wanted.key_kind)

    @contextmanager
    def _turn(self, *, goes_back: bool) -> Iterator[SwarmRotation]:
        """This work while no other process is at it."""
        seconds = self.timeout.total_seconds() + self.patience
        with rotation_turn(self.home.store, sleep=self.sleep, seconds=seconds, says=self.watcher.says) as turn:
            yield replace(self, sleep=_pause_of(turn, goes_back=goes_back))

    def _go_forward(self, begun: SwarmRotationRecord, without: Sequence[str]) -> Sequence[Held]:
        self._leave_out(without)
        if self.home.store.read(active_root) == begun.leaving:
            self._release()
            self._rotate_own(wanted_of(begun.choice))
        elif self.home.store.read(running_rotation) is not None:
            self._rotate_own(LIKE_THE_PRESENT)
        held = self._adopt()
        self._end()
        return held

    def _go_back(self, begun: SwarmRotationRecord, without: Sequence[str]) -> Sequence[Held]:
        self._leave_out(without)
        self._stop_own()
        if not self.home.store.read(partial(_stands, record=begun)):
            # Whoever had the turn gave it up in the moment in which the way was turned.
            self.home.store.write(partial(begin_swarm_rotation, keys=self.keys, requester=self.requester))
            raise _given_up()
        self._give_up_release()
        held = self._adopt()
        self._end(failure=CALLED_OFF)
        return held

    def _end(self, *, failure: str = "") -> None:
        self.home.store.write(partial(end_swarm_rotation, keys=self.keys, requester=self.requester, failure=failure))

    def _open(self) -> OpenSwarm:
        swarm = open_swarm(self.home, self.docker, self.docker_tls)
        verify_same_swarm(self.home, swarm)
        return swarm

    def _leave_out(self, without: Sequence[str]) -> None:
        """Those that follow our root by themselves leave its rotation; the others leave the Swarm."""
        for name in without:
            if self._is_own(name):
                self.home.store.write(partial(finish_without, nodes=frozenset({name}), requester=self.requester))
            else:
                evict(self.home, self._open(), name, self.requester, reason="rotation", sleep=self.sleep)

    def _is_own(self, name: str) -> bool:
        def unit(transaction: Transaction) -> bool:
            running = running_rotation(transaction)
            return running is not None and transaction.rotations.node(running.id, name) is not None

        return self.home.store.read(unit)

    def _give_up_release(self) -> None:
        """End a release that the Swarm has heard of; drop one that it has not."""
        link = self.home.store.read(load_link)
        if link is None or link.state is not LinkState.RELEASING:
            return
        found = look_at_release(self.home, self._open())
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
        swarm = self._open()
        found = look_at_release(self.home, swarm)
        goes_on = found.is_under_way or found.is_there
        if found.blockers and not goes_on:
            why = found.blockers[0].text
            self._end(failure=why)
            hint = f"{found.blockers[0].hint}; or leave nodes out for good: {AGAIN} --finish-without NODE"
            raise Denied(f"{len(found.blockers)} of the checks stand against it: {why}", hint=hint)
        self.watcher.says("first move: to a root of the Swarm's own")
        Releasing(home=self.home, swarm=swarm, sleep=self.sleep).carry_out(
            found, self.requester, self.watcher, self.timeout
        )

    def _rotate_own(self, wanted: WantedRoot) -> None:
        record = self.home.store.read(running_rotation)
        if record is None or record.phase == Phase.ABORTED:
            record = begin(self.home, self.keys, self.requester, wanted).record
        status = self._watch_own(record)
        if not status.is_over:
            raise StillMoving(
                f"between the moves, the root's own rotation waits for {_names(status)}",
                hint=f"they follow by themselves while they run: wait with {AGAIN} --follow, or go on without one with"
                " --finish-without NODE",
            )

    def _stop_own(self) -> None:
        if self.home.store.read(running_rotation) is None:
            return
        record = self.home.store.write(lambda transaction: abort_rotation(transaction, self.keys, self.requester))
        status = self._watch_own(record)
        if not status.is_over:
            raise StillMoving(
                f"the root's own rotation waits for {_names(status)} to come back",
                hint=f"they do by themselves while they run; repeat: {BACK}, or with --finish-without NODE",
            )

    def _watch_own(self, record: RotationRecord) -> RotationStatus:
        watched = Watch(timeout=self.timeout.total_seconds(), tell=lambda status: None, sleep=self.sleep)
        return watch(self.home, self.keys, self.requester, record, watched)

    def _adopt(self) -> Sequence[Held]:
        swarm = self._open()
        if swarm.link is None:
            raise Denied("this home has no Swarm any more", hint="adopt it: swarmsec swarm adopt --url URL")
        url = SigningUrl.parse(swarm.link.url)
        self._wait_served(url)
        self.watcher.says("second move: to our root")
        adoption = Adoption(home=self.home, keys=self.keys, swarm=swarm, url=url, sleep=self.sleep)
        found = _with_own_docker(adoption.look(), swarm.link)
        return adoption.carry_out(found, self.requester, self.watcher, self.timeout)

    def _wait_served(self, url: SigningUrl) -> None:
        """The Swarm's leader dials under the new root alone, so the server must show a certificate of it."""
        root = self.home.store.read(root_bundle).decode("ascii")
        for _ in range(SERVED_TRIES):
            dialled = dial(url, root)
            if dialled.answers:
                return
            self.sleep(LOOK_SECONDS)
        raise Unavailable(f"{url.text} under the new root: {dialled.problem}", hint=f"start the server; then: {AGAIN}")


def _pause_of(turn: RotationTurn, *, goes_back: bool) -> Sleep:
    turn.goes_back = goes_back
    return turn.pause


def _stands(transaction: Transaction, record: SwarmRotationRecord) -> bool:
    return active_root(transaction) == record.leaving


def _given_up() -> Denied:
    return Denied("the old root is given up, and its key erased", hint=f"go on to the new one: {AGAIN}")


def _with_own_docker(found: Preflight, link: SwarmLink) -> Preflight:
    """The engine that was named for one call does not become the home's."""
    return replace(found, plan=replace(found.plan, docker=link.docker, docker_tls=link.docker_tls))


def _names(status: RotationStatus) -> str:
    # Drivers and agents have their role in their name.
    names = [
        blocker.node if blocker.node.startswith(f"{blocker.role}.") else f"{blocker.role} {blocker.node}"
        for blocker in status.blockers[:_NAMED]
    ]
    more = f" and {status.waiting - _NAMED} more" if status.waiting > _NAMED else ""
    served = "" if status.is_served else "; no server runs in this home, and nobody can follow without one"
    return f"{', '.join(names) or 'its next step'}{more}{served}"
