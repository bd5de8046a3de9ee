"""Another root of ours for an adopted Swarm: what is kept of the way, and logged.

SwarmKit refuses to go from one external root to another, so the way leads over a root of the Swarm's own: released,
our root rotated while nobody stands under it, adopted again. What is kept is where it goes; how far the Swarm and this
home are shows in themselves, so that whoever repeats a command, and a server by itself, goes on from there.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from ca.issuing import fingerprint
from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import unix_seconds
from swarmsec.errors import NotFound, UsageProblem
from swarmsec.services.ca.init_authority import ImportedRoot
from swarmsec.services.ports import Keys, Transaction
from swarmsec.services.requester import Field, Requester
from swarmsec.services.rotation.next_roots import next_key_name, verify_new_root
from swarmsec.services.swarm.swarm_link import LinkState, load_link
from swarmsec.services.swarm.swarm_rotation_records import (
    PLAIN,
    RootChoice,
    SwarmRotationRecord,
    load_swarm_rotation,
    save_swarm_rotation,
)


class Part(StrEnum):
    """Where a rotation of a Swarm's root is."""

    OUT = "out"
    """The first move: to a root of the Swarm's own."""
    BETWEEN = "between"
    IN = "in"
    """The second move: to a root of ours."""
    DONE = "done"
    """None is under way."""


def active_root(transaction: Transaction) -> str:
    """The SHA-256 of the root that signs now.

    Raises:
        NotFound: the home is no authority.
    """
    record = transaction.authorities.active()
    if record is None:
        raise NotFound("this home has no certificate authority", hint="make one with: swarmsec ca init")
    return fingerprint(record.certificate)


def part_under_way(transaction: Transaction) -> Part:
    """Where the rotation under way is."""
    rotation, link = load_swarm_rotation(transaction), load_link(transaction)
    if rotation is None or link is None:
        return Part.DONE
    match link.state:
        case LinkState.RELEASED:
            return Part.BETWEEN
        case LinkState.RELEASING:
            return Part.OUT
        case LinkState.ADOPTING:
            return Part.IN
        case LinkState.ADOPTED:
            # Before the first step of the way out, or after the last of the way in.
            return Part.OUT if active_root(transaction) == rotation.leaving and not rotation.goes_back else Part.IN


def begin_swarm_rotation(
    transaction: Transaction,
    keys: Keys,
    requester: Requester,
    *,
    choice: RootChoice = PLAIN,
    imported: ImportedRoot | None = None,
) -> SwarmRotationRecord:
    """Put the beginning on record, or find the one that is under way; one that was called off turns again.

    Args:
        choice: what the new root is to be.
        imported: the root itself, with its key, where it was made elsewhere; the key is sealed.

    Raises:
        UsageProblem: the rotation under way goes to another root than the chosen one, or that root is not new.
    """
    present = load_swarm_rotation(transaction)
    if present is not None:
        return _joined(transaction, present, choice, requester)
    if imported is not None:
        verify_new_root(transaction, imported.certificate)
        choice = replace(choice, key_name=next_key_name(transaction))
        keys.put(transaction, choice.key_name, imported.key)
    started = unix_seconds(transaction.clock)
    rotation = SwarmRotationRecord(leaving=active_root(transaction), started=started, choice=choice)
    save_swarm_rotation(transaction, rotation)
    _log(transaction, requester, Outcome.INTENT, {"root_sha256": rotation.leaving, "to": str(choice)})
    return rotation


def turn_back(transaction: Transaction, requester: Requester) -> SwarmRotationRecord:
    """Put on record that the Swarm goes back to the root that it had from us.

    Raises:
        NotFound: no rotation of the Swarm is under way.
    """
    present = load_swarm_rotation(transaction)
    if present is None:
        raise NotFound("no rotation of the Swarm's root is under way", hint="see: swarmsec swarm status")
    return present if present.goes_back else _turned(transaction, present, requester, goes_back=True)


def end_swarm_rotation(transaction: Transaction, keys: Keys, requester: Requester, *, failure: str = "") -> None:
    """Put the end on record, and erase the key of an imported root that was not used.

    Args:
        failure: why the Swarm was not moved.
    """
    present = load_swarm_rotation(transaction)
    if present is None:
        # Somebody who followed the same work was faster.
        return
    key_name = present.choice.key_name
    if key_name and all(root.key_name != key_name for root in transaction.authorities.all()):
        keys.destroy(transaction, key_name)
    save_swarm_rotation(transaction, None)
    outcome = Outcome.FAILURE if failure else Outcome.SUCCESS
    _log(transaction, requester, outcome, {"root_sha256": active_root(transaction)}, reason=failure)


def _joined(
    transaction: Transaction, present: SwarmRotationRecord, choice: RootChoice, requester: Requester
) -> SwarmRotationRecord:
    if not choice.is_plain and choice.asked != present.choice.asked:
        raise UsageProblem(
            f"the Swarm's rotation under way goes to {present.choice}, and was asked to go to {choice}",
            hint="go on with it: swarmsec ca rotate; or call it off first: swarmsec ca rotate --abort",
        )
    return _turned(transaction, present, requester, goes_back=False) if present.goes_back else present


def _turned(
    transaction: Transaction, present: SwarmRotationRecord, requester: Requester, *, goes_back: bool
) -> SwarmRotationRecord:
    turned = replace(present, goes_back=goes_back)
    save_swarm_rotation(transaction, turned)
    _log(transaction, requester, Outcome.INTENT, {"root_sha256": present.leaving, "goes_back": goes_back})
    return turned


def _log(
    transaction: Transaction, requester: Requester, outcome: Outcome, fields: dict[str, Field], *, reason: str = ""
) -> None:
    target = ObjectRef(type="swarm", id=transaction.settings.get("cluster_id") or "")
    transaction.log(requester.event(Action.SWARM_ROTATE, target, outcome=outcome, reason=reason, fields=fields))
