"""What attaching and detaching begin at Docker: the intent before, and the outcome after, whoever puts it on record.

That is the process that began; or, where it died, whoever looked what the service has now.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final

from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import unix_seconds
from swarmsec.services.ports import Transaction
from swarmsec.services.records import Intent, Lease
from swarmsec.services.requester import Field, Requester
from swarmsec.services.secrets.delivery_records import Attachment

ACTIONS: Final = frozenset({Action.SECRET_ATTACH.value, Action.SECRET_DETACH.value})


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAttempt:
    """An attempt that is on record without its outcome.

    Args:
        attachment: what attaching put on record, or detaching is to take away.
        former: what was on record before attaching.
        version: that tasks were to get; 0 for none.
        turn: which process is at it, and until when at most.
    """

    request_id: str
    action: Action
    attachment: Attachment
    former: Attachment | None
    version: int
    turn: Lease


def record_attach(
    transaction: Transaction,
    request_id: str,
    attachment: Attachment,
    former: Attachment | None,
    *,
    version: int,
    turn: Lease,
) -> None:
    """Put the beginning of attaching on record; the caller logs."""
    attempt = OpenAttempt(
        request_id=request_id,
        action=Action.SECRET_ATTACH,
        attachment=attachment,
        former=former,
        version=version,
        turn=turn,
    )
    transaction.intents.open(_intent(transaction, attempt))


def record_detach(transaction: Transaction, request_id: str, attachment: Attachment, *, turn: Lease) -> None:
    """Put the beginning of detaching on record; the caller logs."""
    attempt = OpenAttempt(
        request_id=request_id,
        action=Action.SECRET_DETACH,
        attachment=attachment,
        former=None,
        version=0,
        turn=turn,
    )
    transaction.intents.open(_intent(transaction, attempt))


def unfinished_attempts(transaction: Transaction) -> list[OpenAttempt]:
    """Every attempt without an outcome, oldest first."""
    intents = [intent for intent in transaction.intents.all() if intent.action in ACTIONS]
    # Before schema secrets_0003 an intent did not say enough to find out how it ended.
    return [_parse(intent) for intent in intents if '"turn"' in intent.data]


def find_attempt(transaction: Transaction, request_id: str) -> OpenAttempt | None:
    """The attempt of a request, or None where its outcome is on record."""
    return next((item for item in unfinished_attempts(transaction) if item.request_id == request_id), None)


def conclude_attempt(
    transaction: Transaction,
    attempt: OpenAttempt,
    requester: Requester,
    *,
    failure: str = "",
    has_secret: bool,
    resolved: bool = False,
) -> None:
    """Put an outcome on record, and let the attachments say what the service has.

    Args:
        transaction: of this unit.
        attempt: that ended.
        requester: who says so.
        failure: why it came to nothing; empty for success.
        has_secret: whether the service has the secret now, its tasks running or not.
        resolved: whether the outcome was found out afterwards.

    Raises:
        NotFound: somebody else put the outcome on record.
    """
    transaction.intents.close(attempt.request_id)
    made = attempt.attachment
    # A later attempt may have put something else there, and then that stays.
    is_ours = transaction.attachments.get(made.name, made.service_id) == made
    if is_ours and not has_secret and attempt.former is not None:
        transaction.attachments.put(attempt.former)
    elif is_ours and not has_secret:
        transaction.attachments.remove(made.name, made.service_id)
    fields: dict[str, Field] = {"service": made.service_id, "service_name": made.service_name, "mode": made.mode}
    if resolved:
        fields["resolved"] = True
    outcome = Outcome.FAILURE if failure else Outcome.SUCCESS
    target = ObjectRef(type="secret", name=made.name, version=attempt.version or None)
    transaction.log(requester.event(attempt.action, target, outcome=outcome, reason=failure, fields=fields))


def _parse(intent: Intent) -> OpenAttempt:
    members = json.loads(intent.data)
    former = members["former"]
    return OpenAttempt(
        request_id=intent.request_id,
        action=Action(intent.action),
        attachment=Attachment(**members["attachment"]),
        former=None if former is None else Attachment(**former),
        version=members["version"],
        turn=Lease(**members["turn"]),
    )


def _intent(transaction: Transaction, attempt: OpenAttempt) -> Intent:
    members = asdict(attempt)
    data = {name: members[name] for name in ("attachment", "former", "version", "turn")}
    return Intent(
        request_id=attempt.request_id,
        action=attempt.action.value,
        started=unix_seconds(transaction.clock),
        data=json.dumps(data, sort_keys=True, separators=(",", ":")),
    )
