"""What the log and the intents hold of a backup: begun, written, and how it ended.

A backup changes something outside the database, a file. So its beginning is on record before the file appears and its
hash before the file gets its name: whoever finds a beginning without an end can tell from the file itself how it went.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final

from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.canonical import encode_canonical, parse_canonical
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import unix_seconds
from swarmsec.errors import IntegrityFailure, NotFound
from swarmsec.services.ports import Transaction
from swarmsec.services.records import Intent
from swarmsec.services.requester import Field, Requester

ACTION: Final = Action.BACKUP_CREATE.value


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupPlan:
    """A backup on its way."""

    request_id: str
    host: str
    """The machine that writes it."""
    path: str
    temporary: str
    """The name it has until it is whole."""
    sha256: str = ""
    """Of the file; empty until it is written."""
    bytes: int = 0


def begin_backup(transaction: Transaction, requester: Requester, plan: BackupPlan) -> None:
    """Put a beginning on record.

    Raises:
        NotFound: the home has no recovery key to encrypt to.
    """
    if transaction.settings.get("recovery_recipient") is None:
        raise NotFound("this home has no recovery key", hint="make one with: swarmsec keys recovery")
    _open(transaction, plan, unix_seconds(transaction.clock))
    _log(transaction, requester, plan, Outcome.INTENT)


def note_written(
    transaction: Transaction, requester: Requester, plan: BackupPlan, sha256: str, size: int
) -> BackupPlan:
    """Put on record what the file is, before it gets its name."""
    written = replace(plan, sha256=sha256, bytes=size)
    started = transaction.intents.close(plan.request_id).started
    _open(transaction, written, started)
    _log(transaction, requester, written, Outcome.INTENT)
    return written


def conclude_backup(
    transaction: Transaction,
    requester: Requester,
    plan: BackupPlan,
    *,
    failure: str = "",
    resolved: bool = False,
) -> None:
    """Put the end on record.

    Args:
        failure: why it failed; empty where it succeeded.
        resolved: whether the end was found out later.

    Raises:
        NotFound: somebody concluded it already.
    """
    transaction.intents.close(plan.request_id)
    outcome = Outcome.FAILURE if failure else Outcome.SUCCESS
    _log(transaction, requester, plan, outcome, reason=failure, resolved=resolved)


def parse_plan(intent: Intent) -> BackupPlan:
    """Read a backup's intent back.

    Raises:
        IntegrityFailure: it is not one.
    """
    refusal = IntegrityFailure(f"expected the intent of a backup under {intent.request_id}")
    try:
        members = parse_canonical(intent.data.encode())
    except ValueError:
        raise refusal from None
    match members:
        case {
            "host": str(host),
            "path": str(path),
            "temporary": str(temporary),
            "sha256": str(sha256),
            "bytes": int(size),
            **rest,
        } if not rest and not isinstance(size, bool):
            return BackupPlan(
                request_id=intent.request_id, host=host, path=path, temporary=temporary, sha256=sha256, bytes=size
            )
    raise refusal


def _open(transaction: Transaction, plan: BackupPlan, started: int) -> None:
    members = asdict(plan)
    del members["request_id"]
    data = encode_canonical(members).decode()
    transaction.intents.open(Intent(request_id=plan.request_id, action=ACTION, started=started, data=data))


def _log(
    transaction: Transaction,
    requester: Requester,
    plan: BackupPlan,
    outcome: Outcome,
    *,
    reason: str = "",
    resolved: bool = False,
) -> None:
    known: Mapping[str, Field] = {"sha256": plan.sha256, "bytes": plan.bytes, "resolved": resolved}
    fields = {name: value for name, value in known.items() if value}
    asking = replace(requester, request_id=plan.request_id)
    target = ObjectRef(type="file", name=plan.path)
    transaction.log(asking.event(Action.BACKUP_CREATE, target, outcome=outcome, reason=reason, fields=fields))
