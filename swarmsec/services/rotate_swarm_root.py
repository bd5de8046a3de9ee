"""Another root of ours for an adopted Swarm: what is kept of the way, and logged.

SwarmKit refuses to go from one external root to another, so the way leads over a root of the Swarm's own: released,
our root rotated while nobody stands under it, adopted again. What is kept is the root that is to be left; where the
Swarm and this home are on the way shows in themselves, so that a repeated command goes on from there.
"""

from __future__ import annotations

from ca.issuing import fingerprint
from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import ObjectRef
from swarmsec.errors import NotFound
from swarmsec.services.ports import Transaction
from swarmsec.services.requester import Requester
from swarmsec.services.swarm_link import LinkState, load_link

SETTING = "swarm_rotation"


def root_to_leave(transaction: Transaction) -> str | None:
    """The SHA-256 of the root that a rotation under way leaves; None where none is under way."""
    return transaction.settings.get(SETTING) or None


def active_root(transaction: Transaction) -> str:
    """The SHA-256 of the root that signs now.

    Raises:
        NotFound: the home is no authority.
    """
    record = transaction.authorities.active()
    if record is None:
        raise NotFound("this home has no certificate authority", hint="make one with: swarmsec ca init")
    return fingerprint(record.certificate)


def part_under_way(transaction: Transaction) -> str:
    """Where a rotation is: on its way ``out``, ``between`` the moves, on its way ``in``, or ``done`` where none is."""
    leaving, link = root_to_leave(transaction), load_link(transaction)
    if leaving is None or link is None:
        return "done"
    if link.state is LinkState.RELEASED:
        return "between"
    return "out" if active_root(transaction) == leaving else "in"


def begin_swarm_rotation(transaction: Transaction, requester: Requester) -> str:
    """Put the beginning on record, or find the one that is under way; returns the root that is to be left."""
    present = root_to_leave(transaction)
    if present is not None:
        return present
    leaving = active_root(transaction)
    transaction.settings.put(SETTING, leaving)
    target = ObjectRef(type="swarm", id=transaction.settings.get("cluster_id") or "")
    transaction.log(
        requester.event(Action.SWARM_ROTATE, target, outcome=Outcome.INTENT, fields={"root_sha256": leaving})
    )
    return leaving


def end_swarm_rotation(transaction: Transaction, requester: Requester, *, failure: str = "") -> None:
    """Put the end on record; ``failure`` says why the Swarm was not moved."""
    if root_to_leave(transaction) is None:
        return
    transaction.settings.put(SETTING, "")
    outcome = Outcome.FAILURE if failure else Outcome.SUCCESS
    target = ObjectRef(type="swarm", id=transaction.settings.get("cluster_id") or "")
    fields = {"root_sha256": active_root(transaction)}
    transaction.log(requester.event(Action.SWARM_ROTATE, target, outcome=outcome, reason=failure, fields=fields))
