"""One process at a time leads a Swarm to another root: a command, or the server where none is at it.

The turn is a lease, kept up at each look. A command that ends, however it ends, leaves the rotation to the server. One
that turns the way (``--abort``, or on again) says so on record and waits for the turn; whoever has it sees that at its
next look and ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from swarmsec.clock import unix_seconds
from swarmsec.errors import AlreadyExists, Changed, SwarmsecError, Unavailable
from swarmsec.services.ports import Transaction
from swarmsec.services.swarm.swarm_rotation_records import load_swarm_rotation
from swarmsec.wiring.secrets.secretturns import FencedStore, SecretStore, is_gone
from swarmsec.wiring.swarm.watching import Sleep

LEASE: Final = "swarm.rotate"
LOOK_SECONDS: Final = 0.2
PATIENCE_SECONDS: Final = 30.0
"""How much longer than its own time a command waits for a server's step, which takes seconds."""


@dataclass(slots=True, kw_only=True)
class RotationTurn:
    """The right to lead the Swarm.

    Args:
        lease: held.
        sleep: the real one.
    """

    lease: FencedStore
    sleep: Sleep
    goes_back: bool = False
    _looked: float = field(default_factory=monotonic)

    def pause(self, seconds: float) -> None:
        """Wait, and see now and then that the turn lasts and the way is still the same.

        Raises:
            Changed: somebody turned the way, or the lease went to another.
        """
        self.sleep(seconds)
        if monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = monotonic()
        self.lease.renew()
        record = self.lease.read(load_swarm_rotation)
        if record is not None and record.goes_back != self.goes_back:
            way = "called off" if record.goes_back else "taken up again"
            raise Changed(f"the Swarm's rotation was {way} by another command", hint="see: swarmsec swarm status")


def is_led(transaction: Transaction) -> bool:
    """Whether a process has the turn now, as far as can be told."""
    lease, now = transaction.leases.find(LEASE), unix_seconds(transaction.clock)
    return lease is not None and lease.expires > now and not is_gone(lease.holder)


@contextmanager
def rotation_turn(
    store: SecretStore, *, sleep: Sleep, seconds: float, says: Callable[[str], None]
) -> Iterator[RotationTurn]:
    """Have the turn, waiting for it where another process is at it.

    Args:
        seconds: how long to wait for it; 0 for not at all.
        says: told once who is waited for.

    Raises:
        Unavailable: another process is still at it.
    """
    lease = FencedStore(store, LEASE)
    _take(lease, sleep, seconds, says)
    try:
        yield RotationTurn(lease=lease, sleep=sleep)
    finally:
        with suppress(SwarmsecError):
            lease.give_back()


def _take(lease: FencedStore, sleep: Sleep, seconds: float, says: Callable[[str], None]) -> None:
    ends, is_said = monotonic() + seconds, False
    while True:
        try:
            lease.take("the Swarm's rotation")
        except AlreadyExists as busy:
            if monotonic() >= ends:
                raise Unavailable(str(busy), hint="wait until it is done, then repeat: swarmsec ca rotate") from None
            if not is_said:
                is_said = True
                says(f"waiting: {busy}")
            sleep(LOOK_SECONDS)
        else:
            return
