"""Rotate the keys that seal the records: a new term, every record moved to it in batches, the former terms erased.

The steps are units of their own, so that a process may end between any two: a former term that still stands is what
says that a rotation is unfinished, and whoever asks next continues it. One process at a time does the work, under a
lease whose fence every step verifies; the loop around the steps is in ``wiring.homes.rotating``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.errors import Changed
from swarmsec.services.ports import Transaction
from swarmsec.services.records import KeyTermRow
from swarmsec.services.requester import Requester

LEASE: Final = "keys.rotate"
LEASE_SECONDS: Final = 10
"""Every step renews it; a process that died keeps others waiting no longer than this."""
BATCH: Final = 100


class Ring(Protocol):
    """What rotation needs of the key ring."""

    def add_term(self, transaction: Transaction) -> int: ...
    def rewrap_some(self, transaction: Transaction, limit: int, after: str = "") -> Sequence[str]: ...
    def destroy_unused(self, transaction: Transaction) -> list[int]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One life of one process that rotates: its name among the lease's holders and, once it holds it, its fence."""

    holder: str
    fence: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Somebody else is at it."""

    holder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A rotation is ours to do."""

    term: int
    former: Sequence[int]
    records: int
    """How many are still to be moved."""
    resumed: bool
    """Whether another process began it."""
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """Nothing is left to do: the rotation that we waited for has ended."""

    term: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTerm:
    """A term with how many records need it."""

    term: int
    state: str
    created: int
    records: int


def begin_rotation(
    transaction: Transaction, ring: Ring, requester: Requester, holder: str, *, followed: bool
) -> Held | Begun | Finished:
    """Make a new term, or take up a rotation that was left unfinished.

    Args:
        holder: names this process among the lease's holders.
        followed: whether the caller waited for somebody else's rotation; then no further one is begun after it.
    """
    fence = transaction.leases.take(LEASE, holder, LEASE_SECONDS)
    if fence is None:
        return Held(holder=transaction.leases.holder(LEASE) or "another process")
    former = _former(transaction.key_terms.all())
    if former:
        return _taken_up(transaction, former, fence, resumed=True)
    if followed:
        transaction.leases.release(LEASE, fence)
        return Finished(term=_active(transaction))
    term = ring.add_term(transaction)
    former = _former(transaction.key_terms.all())
    fields = {"former": [str(number) for number in former]}
    transaction.log(requester.event(Action.KEY_ROTATE, _reference(term), fields=fields))
    return _taken_up(transaction, former, fence, resumed=False)


def rewrap_batch(
    transaction: Transaction, ring: Ring, requester: Requester, worker: Worker, after: str
) -> tuple[int, str]:
    """Move the next records to the active term.

    Args:
        after: the name of the last record that the batch before moved; empty at first.

    Returns:
        how many were moved, and the name to go on after.

    Raises:
        Changed: somebody else took the rotation over.
    """
    _hold(transaction, worker)
    names = ring.rewrap_some(transaction, BATCH, after)
    if not names:
        return 0, after
    event = requester.event(Action.KEY_REWRAP, _reference(_active(transaction)), fields={"records": len(names)})
    transaction.log(event)
    return len(names), names[-1]


def finish_rotation(transaction: Transaction, ring: Ring, requester: Requester, worker: Worker) -> Sequence[int]:
    """Erase the terms that no record needs any more, and give the lease back.

    Returns:
        the numbers of the erased terms.

    Raises:
        Changed: somebody else took the rotation over.
    """
    _hold(transaction, worker)
    destroyed = ring.destroy_unused(transaction)
    for term in destroyed:
        transaction.log(requester.event(Action.KEY_DESTROY, _reference(term)))
    transaction.leases.release(LEASE, worker.fence)
    return destroyed


def list_terms(transaction: Transaction) -> Sequence[ListedTerm]:
    """Every term there ever was, oldest first."""
    return [
        ListedTerm(
            term=row.term, state=row.state, created=row.created, records=transaction.sealed.count_under(row.term)
        )
        for row in transaction.key_terms.all()
    ]


def _hold(transaction: Transaction, worker: Worker) -> None:
    """Verify the fence and renew the lease."""
    transaction.leases.verify(LEASE, worker.fence)
    if transaction.leases.take(LEASE, worker.holder, LEASE_SECONDS) != worker.fence:
        raise Changed(f"the lease {LEASE} is no longer ours", hint="the process that holds it now goes on")


def _taken_up(transaction: Transaction, former: Sequence[int], fence: int, *, resumed: bool) -> Begun:
    records = sum(transaction.sealed.count_under(number) for number in former)
    return Begun(term=_active(transaction), former=former, records=records, resumed=resumed, fence=fence)


def _former(terms: Sequence[KeyTermRow]) -> Sequence[int]:
    return [row.term for row in terms if row.state == "decrypt-only"]


def _active(transaction: Transaction) -> int:
    return max(row.term for row in transaction.key_terms.all() if row.state == "active")


def _reference(term: int) -> ObjectRef:
    return ObjectRef(type="key-term", version=term)
