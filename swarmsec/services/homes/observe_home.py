"""What metrics say of a home beside what its server counts: checkpoint, revocation list, backup, rotation, agents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from swarmsec.audit.actions import Action
from swarmsec.clock import unix_seconds
from swarmsec.reports.each_host import FRESH_SECONDS
from swarmsec.services.ca.revocation_lists import load_list_state
from swarmsec.services.log.log_ports import LogTransaction
from swarmsec.services.reports.host_ports import HostTransaction
from swarmsec.services.reports.report_facts import EntryKind, newest_times
from swarmsec.services.swarm.swarm_rotation_records import load_swarm_rotation

BACKUP: Final = EntryKind(action=Action.BACKUP_CREATE)


class ObservedTransaction(LogTransaction, HostTransaction, Protocol):
    """A unit of work that metrics are read in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeSigns:
    """How a home stands. Times in Unix seconds, 0 for never or none.

    Args:
        checkpoint_created, checkpoint_size: of the newest signed checkpoint.
        list_next_update: when the revocation list runs out.
        rotation_started: of a rotation of the root that is not over.
        agents_fresh, agents_silent: agents whose facts count, and whose do not any more.
    """

    checkpoint_created: int
    checkpoint_size: int
    list_next_update: int
    rotation_started: int
    agents_fresh: int
    agents_silent: int


def observe_home(transaction: ObservedTransaction) -> HomeSigns:
    """Look at a home; reads a handful of rows, and one for each agent."""
    checkpoints = transaction.checkpoints.all()
    newest = checkpoints[-1] if checkpoints else None
    root = transaction.authorities.active()
    state = load_list_state(transaction, root.generation) if root is not None else None
    since = unix_seconds(transaction.clock) - FRESH_SECONDS
    seen = [moment >= since for moment in transaction.hosts.contacts().values()]
    return HomeSigns(
        checkpoint_created=newest.created if newest else 0,
        checkpoint_size=newest.size if newest else 0,
        list_next_update=state.next_update if state else 0,
        rotation_started=_rotation_started(transaction),
        agents_fresh=sum(seen),
        agents_silent=len(seen) - sum(seen),
    )


def _rotation_started(transaction: ObservedTransaction) -> int:
    """Of the Swarm's, which ours is a part of, or of ours."""
    of_swarm, own = load_swarm_rotation(transaction), transaction.rotations.newest()
    if of_swarm is not None and of_swarm.started:
        return of_swarm.started
    return own.started if own and not own.ended else 0


def last_backup(transaction: ObservedTransaction) -> int:
    """When the newest backup was concluded, Unix seconds; 0 for never. Reads the log, the newest entries first."""
    return newest_times(transaction, {"backup": BACKUP})["backup"]
