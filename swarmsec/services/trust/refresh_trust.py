"""Sign again what would otherwise end: timestamp and snapshot above all, and whatever else this home alone signs.

A timestamp holds for a day and is signed anew every hour, so a server may be down for most of a day before clients
refuse. Images are not signed again by themselves: how old a signature may be is for the policy to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from notary.repository import plan_of_targets
from notary.roles import PERIODS, REVOCATIONS, ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from notary.signing import Document
from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.services.ports import Keys, Transaction
from swarmsec.services.requester import Requester
from swarmsec.services.trust.delegate_repository import targets_document
from swarmsec.services.trust.pending_changes import pending_document
from swarmsec.services.trust.publish_trust import publish, publish_timestamp
from swarmsec.services.trust.signed_policy import is_policy_signed
from swarmsec.services.trust.trust_state import (
    is_embedded,
    moment,
    needed_quorums,
    present_document,
    quorum_of,
    sign_embedded,
)

AGE: Final[Mapping[str, timedelta]] = {
    TIMESTAMP: timedelta(hours=1),
    SNAPSHOT: timedelta(days=1),
    REVOCATIONS: timedelta(days=30),
    TARGETS: timedelta(days=305),
    ROOT: timedelta(days=305),
}
"""How old each may get before it is signed anew; targets and root 60 days before their end."""


def is_refresh_due(transaction: Transaction) -> bool:
    """Whether anything is to be signed again; False where there is no repository."""
    return bool(_due(transaction)) or _is_policy_behind(transaction)


def refresh_if_due(transaction: Transaction, keys: Keys, requester: Requester) -> bool:
    """Sign again what is due; returns whether there was anything."""
    due = _due(transaction)
    documents = [_again(transaction, role) for role in (ROOT, TARGETS, REVOCATIONS) if role in due]
    if _is_policy_behind(transaction) and TARGETS not in due:
        documents.append(_again(transaction, TARGETS))
    if documents or SNAPSHOT in due:
        signed = [
            sign_embedded(transaction, keys, item, needed_quorums(transaction, documents, item)) for item in documents
        ]
        published = publish(transaction, keys, signed)
        versions = {**published.versions, SNAPSHOT: published.snapshot, TIMESTAMP: published.timestamp}
    elif TIMESTAMP in due:
        snapshot = transaction.trust.roles.get(SNAPSHOT)
        versions = {TIMESTAMP: publish_timestamp(transaction, keys, snapshot.version if snapshot else 0)}
    else:
        return False
    fields = {"roles": [f"{role} {version}" for role, version in versions.items()]}
    transaction.log(requester.event(Action.TRUST_REFRESH, ObjectRef(type="trust-repository"), fields=fields))
    return True


def _due(transaction: Transaction) -> list[str]:
    now = moment(transaction)
    return [role for role in AGE if _is_old(transaction, role, now) and _is_ours(transaction, role)]


def _is_old(transaction: Transaction, role: str, now: datetime) -> bool:
    row = transaction.trust.roles.get(role)
    if row is None or row.version == 0:
        return False
    period = PERIODS.of(role)
    left = timedelta(seconds=row.expires) - timedelta(seconds=int(now.timestamp()))
    # What holds for longer than its period was signed by a clock that stood ahead; that is not kept.
    return left <= period - AGE[role] or left > period


def _is_ours(transaction: Transaction, role: str) -> bool:
    return is_embedded(transaction, quorum_of(transaction, role)) and pending_document(transaction, role) is None


def _is_policy_behind(transaction: Transaction) -> bool:
    row = transaction.trust.roles.get(TARGETS)
    if row is None or row.version == 0 or not _is_ours(transaction, TARGETS):
        return False
    return not is_policy_signed(transaction, present_document(transaction, TARGETS))


def _again(transaction: Transaction, role: str) -> Document:
    """The next version of a role, which says the same and holds for a new period."""
    former = present_document(transaction, role)
    if role == TARGETS:
        return targets_document(transaction, plan_of_targets(former.body))
    expires = f"{moment(transaction) + PERIODS.of(role):%Y-%m-%dT%H:%M:%SZ}"
    body: dict[str, Any] = {**former.body, "version": former.version + 1, "expires": expires}
    return Document(role=role, body=body, signatures={})
