"""Exporting the log of a home: that it leaves is in the log before anything does, and so is a failure after."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import ObjectRef, uuid7
from swarmsec.keys.signers import SealedKeys
from swarmsec.services.requester import Field, Requester
from swarmsec.wiring.homes.home import Home
from swarmsec.wiring.log.checkpointing import sign_log
from swarmsec.wiring.log.logexport import Exported, ExportFormat, export_log
from swarmsec.wiring.log.logsources import StoredLog


def export_home(home: Home, keys: SealedKeys, out: Path, wanted: ExportFormat, requester: Requester) -> Exported:
    """Export the log as it is now, the entry that says so included.

    Raises:
        as ``export_log``.
    """
    stamped = replace(requester, request_id=uuid7(home.clock.unix_ms(), home.clock.random(10)))
    fields: dict[str, Field] = {"directory": str(out.absolute()), "format": str(wanted)}
    event = stamped.event(Action.AUDIT_EXPORT, ObjectRef(type="log"), fields=fields)
    home.store.write(lambda transaction: transaction.log(event))
    sign_log(home.store, keys)
    try:
        with home.store.reading() as transaction:
            source = StoredLog(transaction)
            return export_log(source, source.key, out, wanted, lambda _: None)
    except Exception as error:
        reason = str(error)
        failed = stamped.event(
            Action.AUDIT_EXPORT, ObjectRef(type="log"), outcome=Outcome.FAILURE, reason=reason, fields=fields
        )
        home.store.write(lambda transaction: transaction.log(failed))
        raise
