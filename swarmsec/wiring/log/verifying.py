"""A verified log says so itself: who held it to be whole, up to which entry, with which root."""

from __future__ import annotations

from functools import partial

from swarmsec.audit.actions import Action
from swarmsec.audit.entry import Event, ObjectRef
from swarmsec.services.homes.restored_state import RESTORED
from swarmsec.services.requester import Field, Requester
from swarmsec.storage.checking import CheckReport
from swarmsec.storage.transaction import Transaction
from swarmsec.wiring.homes.home import Home


def record_verification(home: Home, report: CheckReport, requester: Requester) -> None:
    """Put on record that the log was verified; a log that is not whole is not written on.

    A restored home that nobody accepted yet stays as it is: what is written there would not be of its line.

    Args:
        report: what was found whole.

    Raises:
        Unavailable: the store cannot be written.
    """
    fields: dict[str, Field] = {"entries": report.entries, "root": report.root.hex()}
    event = requester.event(Action.AUDIT_VERIFY, ObjectRef(type="log"), fields=fields)
    home.store.write(partial(_record, event=event))


def _record(transaction: Transaction, *, event: Event) -> None:
    if not transaction.settings.get(RESTORED):
        transaction.log(event)
