"""Going on with a rotation that leads a Swarm to another root: after a command that ended, was killed, or detached.

In between its two moves a Swarm stands under a throwaway root, which nobody should have to notice to end it. The server
asks the Docker Engine that the home has, by itself and only while such a rotation is under way; a command that is at it
goes before. What cannot be done is told once and tried again, less and less often.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from time import monotonic
from typing import Final

from swarmsec.errors import SwarmsecError, describe
from swarmsec.keys.signers import SealedKeys
from swarmsec.services.requester import SERVICE
from swarmsec.services.swarm.rotate_swarm_root import part_under_way
from swarmsec.services.swarm.swarm_rotation_records import load_swarm_rotation
from swarmsec.storage.groupwriter import GroupWriter
from swarmsec.wiring.homes.home import Home
from swarmsec.wiring.secrets.secretturns import HandedOver
from swarmsec.wiring.serving.rounds import Rounds, WrittenStore
from swarmsec.wiring.swarm.rotating import SwarmRotation
from swarmsec.wiring.swarm.rotationturn import is_led
from swarmsec.wiring.swarm.watching import RotationWatcher, StillMoving

ROUND_SECONDS: Final = 2.0
RETRY_SECONDS: Final = 15.0
"""After something stood against it; twice as long each time, up to ``LONGEST_SECONDS``."""
LONGEST_SECONDS: Final = 600.0


class SwarmWork:
    """Looks now and then whether a rotation of the Swarm was left, and goes on with it.

    Args:
        home: of the server.
        writer: of the server.
        keys: the open key store.
        report: takes a line for the operator.
    """

    def __init__(self, home: Home, writer: GroupWriter, keys: SealedKeys, report: Callable[[str], None]) -> None:
        self._home = home
        self._keys = keys
        self._report = report
        self._rounds = Rounds("swarm", home.store, writer)
        self._said = ""
        self._next = 0.0
        self._pause = RETRY_SECONDS

    async def keep_up(self) -> None:
        """Do what is to be done, for ever."""
        await self._rounds.keep_up(self.work, ROUND_SECONDS)

    async def close(self) -> None:
        """Stop; a rotation under way stays as it is, for the next server to go on with."""
        await self._rounds.close()

    def work(self, store: WrittenStore) -> None:
        """One round."""
        try:
            if store.read(load_swarm_rotation) is None:
                self._forget()
            elif monotonic() >= self._next and not store.read(is_led):
                self._go_on(store)
        except HandedOver:
            return
        except SwarmsecError as error:
            found = describe(error)
            self._next, self._pause = monotonic() + self._pause, min(2 * self._pause, LONGEST_SECONDS)
            self._say(f"warning: the Swarm's rotation does not go on: {found.text}; {found.hint or ''}".rstrip("; "))

    def _go_on(self, store: WrittenStore) -> None:
        before = store.read(part_under_way)
        try:
            self._rotation(store).go_on()
        except StillMoving as moving:
            self._pause = RETRY_SECONDS
            self._say(f"the Swarm's rotation goes on, {store.read(part_under_way)}: {moving}")
        else:
            self._report(f"the Swarm's rotation is over, gone on with from: {before}")
            self._forget()

    def _rotation(self, store: WrittenStore) -> SwarmRotation:
        home = Home(
            self._home.path,
            self._home.config,
            store,  # type: ignore[arg-type]  # of a home's store this work reads and writes alone
            self._home.store_id,
            self._home.clock,
        )
        watcher = RotationWatcher(begins=_hear_nothing, renewed=_hear_nothing, says=_hear_nothing)
        return SwarmRotation(
            home=home,
            keys=self._keys,
            requester=SERVICE,
            watcher=watcher,
            timeout=timedelta(),
            sleep=self._sleep,
        )

    def _sleep(self, seconds: float) -> None:
        if self._rounds.stopping.wait(seconds):
            raise HandedOver

    def _forget(self) -> None:
        self._said, self._next, self._pause = "", 0.0, RETRY_SECONDS

    def _say(self, text: str) -> None:
        if self._said != text:
            self._said = text
            self._report(text)


def _hear_nothing(_: object) -> None:
    """What a command would say; a server says what it did."""
