"""One process at a time at a secret's rotation, held by a lease whose fence every write carries.

A process that was stopped for longer than its lease lasts can write nothing any more once somebody else went on. One
that ends in order gives its lease back, and the rotation waits for a person; one that dies does not, and ``serve`` goes
on in its place.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Final, Protocol, TypeVar

from swarmsec.errors import AlreadyExists, Changed, SwarmsecError
from swarmsec.services.ports import Transaction
from swarmsec.services.records import Lease

T = TypeVar("T")
LEASE_SECONDS: Final = 90
"""Longer than a validating program, or an answer of Docker, may take."""
RENEW_SECONDS: Final = 10.0
_HOLDER: Final = re.compile(r"process ([1-9][0-9]{0,18}) on (.+) \([0-9a-f]{8}\)")


class SecretStore(Protocol):
    """What rotating needs of the store."""

    def read(self, unit: Callable[[Transaction], T]) -> T: ...
    def write(self, unit: Callable[[Transaction], T]) -> T: ...
    def truncate_write_ahead_log(self) -> bool: ...


class HandedOver(Exception):  # nothing went wrong: the process ends, and another one goes on
    """The work is left as it is, for whoever comes next."""


class FencedStore:
    """A store whose writes count only while this turn lasts.

    Args:
        store: the real one.
        lease: the name of the lease.
    """

    def __init__(self, store: SecretStore, lease: str) -> None:
        self._store = store
        self._lease = lease
        self._holder = this_process()
        self._fence = 0
        self._renewed = 0.0

    def take(self, what: str) -> None:
        """Begin the turn.

        Raises:
            AlreadyExists: another process is at ``what``.
        """
        found = self._store.write(self._taken)
        if isinstance(found, Lease):
            raise AlreadyExists(f"{found.holder} is at {what}", hint="wait until it is done, or stop it")
        self._fence, self._renewed = found, monotonic()

    def read(self, unit: Callable[[Transaction], T]) -> T:
        """Run a unit that only reads."""
        return self._store.read(unit)

    def write(self, unit: Callable[[Transaction], T]) -> T:
        """Run a unit if the turn still lasts, and make it last longer.

        Raises:
            Changed: it does not.
            what the unit raises.
        """

        def fenced(transaction: Transaction) -> T:
            transaction.leases.verify(self._lease, self._fence)
            if transaction.leases.take(self._lease, self._holder, LEASE_SECONDS) != self._fence:
                raise Changed(f"the lease {self._lease} is no longer ours")
            return unit(transaction)

        done = self._store.write(fenced)
        self._renewed = monotonic()
        return done

    def truncate_write_ahead_log(self) -> bool:
        """Leave no erased row behind in SQLite's write-ahead log."""
        return self._store.truncate_write_ahead_log()

    def renew(self) -> None:
        """Make the turn last longer, now and then."""
        if monotonic() - self._renewed >= RENEW_SECONDS:
            self.write(lambda transaction: None)

    def give_back(self) -> None:
        """End the turn."""
        self._store.write(lambda transaction: transaction.leases.release(self._lease, self._fence))

    def _taken(self, transaction: Transaction) -> int | Lease:
        leases = transaction.leases
        found = leases.find(self._lease)
        if found is not None and is_gone(found.holder):
            leases.release(self._lease, found.fence)
        fence = leases.take(self._lease, self._holder, LEASE_SECONDS)
        return found if fence is None and found is not None else fence or 0


@contextmanager
def rotation_turn(store: SecretStore, name: str) -> Iterator[FencedStore]:
    """Have the turn at the rotation of a secret.

    Raises:
        AlreadyExists: another process has it.
    """
    turn = FencedStore(store, lease_of(name))
    turn.take(f"the rotation of {name}")
    try:
        yield turn
    except HandedOver:
        raise
    except (Exception, KeyboardInterrupt):
        with suppress(SwarmsecError):
            turn.give_back()
        raise
    turn.give_back()


def this_process() -> str:
    """A holder: this process, and this turn of it."""
    return f"process {os.getpid()} on {os.uname().nodename} ({os.urandom(4).hex()})"


def lease_of(name: str) -> str:
    """The lease of a secret's rotation."""
    return f"secret-rotation/{name}"


def is_abandoned(lease: Lease | None, now: int) -> bool:
    """Whether the last process at a rotation died there: its lease was not given back, and nobody keeps it up."""
    return lease is not None and lease.expires != 0 and (lease.expires <= now or is_gone(lease.holder))


def is_gone(holder: str) -> bool:
    """Whether a holder was a process of this machine that is not there any more.

    A wrong answer costs nothing but work: the fence keeps a holder that lives after all from writing.
    """
    found = _HOLDER.fullmatch(holder)
    if found is None or found[2] != os.uname().nodename:
        return False
    try:
        # NOTE: /proc may hide the processes of others (ProtectProc=invisible); a signal that is not sent finds them.
        os.kill(int(found[1]), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False
