"""What the log and the intents hold of a root key that is made in a token: begun, and made.

The token is outside the database: a key could be made there and its name be lost. So its name, with an id drawn for it
alone, is on record before the token is asked; whoever finds a beginning without an end looks for that id.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.canonical import encode_canonical, parse_canonical
from swarmsec.audit.entry import ObjectRef, uuid7
from swarmsec.clock import unix_seconds
from swarmsec.errors import IntegrityFailure
from swarmsec.services.ports import Transaction
from swarmsec.services.records import Intent
from swarmsec.services.requester import Requester

ACTION: Final = Action.KEY_CREATE.value
_RANDOM_BYTES: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenKeyPlan:
    """A key that is about to be made in a token."""

    request_id: str
    key_name: str
    """The URI of the key, with its id and without module or PIN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRoot:
    """A root key in a token, found or made there. ``plan`` is set where it was made and that is not on record yet."""

    key_name: str
    key_type: str
    """``p256`` or ``p384``."""
    made_there: bool
    """Whether the token says that the key was made in it and never left it."""
    plan: TokenKeyPlan | None = None


def begin_token_key(transaction: Transaction, requester: Requester, key_name: str) -> TokenKeyPlan:
    """Put a beginning on record.

    Args:
        key_name: the URI of the key that shall be made.
    """
    clock = transaction.clock
    plan = TokenKeyPlan(request_id=uuid7(clock.unix_ms(), clock.random(_RANDOM_BYTES)), key_name=key_name)
    data = encode_canonical({"key_name": key_name}).decode()
    started = unix_seconds(clock)
    transaction.intents.open(Intent(request_id=plan.request_id, action=ACTION, started=started, data=data))
    _log(transaction, requester, plan, Outcome.INTENT)
    return plan


def conclude_token_key(transaction: Transaction, requester: Requester, plan: TokenKeyPlan, failure: str = "") -> None:
    """Put the end on record.

    Args:
        failure: why there is no key; empty where there is.
    """
    transaction.intents.close(plan.request_id)
    _log(transaction, requester, plan, Outcome.FAILURE if failure else Outcome.SUCCESS, failure)


def unfinished_token_keys(transaction: Transaction) -> list[TokenKeyPlan]:
    """Keys that were begun and not concluded.

    Raises:
        IntegrityFailure: what is kept of one cannot be read.
    """
    return [parse_plan(intent) for intent in transaction.intents.all() if intent.action == ACTION]


def parse_plan(intent: Intent) -> TokenKeyPlan:
    """Read the intent of a key back.

    Raises:
        IntegrityFailure: it is not one.
    """
    try:
        members = parse_canonical(intent.data.encode())
    except ValueError:
        members = None
    match members:
        case {"key_name": str(key_name), **rest} if not rest:
            return TokenKeyPlan(request_id=intent.request_id, key_name=key_name)
    raise IntegrityFailure(f"expected the intent of a key in a token under {intent.request_id}")


def _log(
    transaction: Transaction, requester: Requester, plan: TokenKeyPlan, outcome: Outcome, reason: str = ""
) -> None:
    asking = replace(requester, request_id=plan.request_id)
    target = ObjectRef(type="token-key", name=plan.key_name)
    transaction.log(asking.event(Action.KEY_CREATE, target, outcome=outcome, reason=reason))
