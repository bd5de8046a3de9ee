"""Lift the trust repository over what it may have published after the backup that it was restored from.

Clients refuse a version below one that they have seen, so every role that this home signs alone goes on above the
newest that it can have been: above the entries that the anchor knows to be missing, and not below the clock, as serial
numbers of revocation lists do. Tokens of CI that were made before are worth nothing: which of them were used since is
forgotten. NOTE: root counts without a gap and cannot be lifted, and what others sign waits for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from notary.repository import time_text
from notary.roles import PERIODS, ROOT, SNAPSHOT, TIMESTAMP
from notary.signing import Document
from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import unix_seconds
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.ports import Keys, Transaction
from swarmsec.services.requester import Requester
from swarmsec.services.trust.ci_tokens import KEY_NAME
from swarmsec.services.trust.publish_trust import publish
from swarmsec.services.trust.trust_records import TrustRole
from swarmsec.services.trust.trust_state import is_embedded, moment, present_document, quorum_of, sign_embedded

_BATCH: Final = 50
"""Roles in one entry of the log, which has an end."""
_KEY_BYTES: Final = 32


def renew_restored_trust(transaction: Transaction, keys: Keys, requester: Requester, missing: int) -> None:
    """Lift versions, and make former CI tokens worthless.

    Args:
        transaction: of the restored home.
        keys: its sealed store.
        requester: who accepts it.
        missing: log entries that the anchor knows and the backup does not have.
    """
    if transaction.trust.roles.get(ROOT) is None:
        return
    target = ObjectRef(type="trust-repository")
    if transaction.sealed.get(KEY_NAME) is not None:
        keys.put(transaction, KEY_NAME, SecretBytes(transaction.clock.random(_KEY_BYTES)))
        transaction.log(requester.event(Action.TRUST_TOKEN_CREATE, target, reason="made before a restore"))
    now = unix_seconds(transaction.clock)
    rows = [row for row in transaction.trust.roles.all() if _is_ours(transaction, row)]
    for start in range(0, len(rows), _BATCH):
        _lift(transaction, keys, requester, rows[start : start + _BATCH], now, missing)


def _is_ours(transaction: Transaction, row: TrustRole) -> bool:
    if row.role in {ROOT, SNAPSHOT, TIMESTAMP} or not row.version or not row.keyids:
        return False
    return is_embedded(transaction, quorum_of(transaction, row.role))


def _lift(
    transaction: Transaction, keys: Keys, requester: Requester, rows: Sequence[TrustRole], now: int, missing: int
) -> None:
    documents = [_lifted(transaction, row, max(now, row.version + missing + 1)) for row in rows]
    signed = [
        sign_embedded(transaction, keys, document, [quorum_of(transaction, document.role)]) for document in documents
    ]
    published = publish(transaction, keys, signed, at_least=now + missing)
    fields = {"roles": [f"{role} {version}" for role, version in published.versions.items()]}
    target = ObjectRef(type="trust-repository")
    transaction.log(requester.event(Action.TRUST_REFRESH, target, reason="restored", fields=fields))


def _lifted(transaction: Transaction, row: TrustRole, version: int) -> Document:
    former = present_document(transaction, row.role)
    expires = time_text(moment(transaction) + PERIODS.of(row.role))
    body = {**former.body, "version": version, "expires": expires}
    return Document(role=row.role, body=body, signatures={})
