"""The seals around the root key: one of each kind at most, one of any kind at least.

A seal gives the root key, and changing seals does not change it: whoever once had the root key still has it.
"""

from __future__ import annotations

from collections.abc import Sequence

from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.errors import NotFound, UsageProblem
from swarmsec.services.ports import Transaction
from swarmsec.services.records import SealRow
from swarmsec.services.requester import Requester


def replace_seal(transaction: Transaction, requester: Requester, seal: SealRow) -> Sequence[SealRow]:
    """Keep a new seal in the place of those of its kind.

    Returns:
        the seals that it replaced.
    """
    former = [row for row in transaction.seals.all() if row.kind == seal.kind]
    transaction.seals.add(seal)
    transaction.log(requester.event(Action.SEAL_CREATE, reference_of(seal)))
    for row in former:
        _remove(transaction, requester, row)
    return former


def remove_seal(transaction: Transaction, requester: Requester, seal_id: str) -> SealRow:
    """Remove a seal.

    Raises:
        NotFound: there is none with this id.
        UsageProblem: it is the last one; without any the home could never be opened again.
    """
    seals = transaction.seals.all()
    found = next((row for row in seals if row.seal_id == seal_id), None)
    if found is None:
        raise NotFound(f"no seal {seal_id!r:.80}", hint="see: swarmsec keys seal list")
    if len(seals) == 1:
        raise UsageProblem("expected another seal to stay: this is the last one", hint="add one first")
    _remove(transaction, requester, found)
    return found


def reference_of(seal: SealRow) -> ObjectRef:
    """A seal as entries name it."""
    return ObjectRef(type="seal", id=seal.seal_id, name=seal.kind)


def _remove(transaction: Transaction, requester: Requester, seal: SealRow) -> None:
    transaction.seals.remove(seal.seal_id)
    transaction.log(requester.event(Action.SEAL_REMOVE, reference_of(seal)))
