"""A bundle of the repository for machines without a network: metadata, policy, and a timestamp of its own.

The timestamp is marked, so that clients with a network refuse it: it may hold longer than the service's own would. How
long at most says the root. A bundle goes on from a root that its reader has already; it never brings the first one.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from notary.bundles import write_bundle
from notary.repository import build_timestamp, plan_of_root
from notary.roles import POLICY_PATH, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, file_name
from notary.signing import Document
from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import rfc3339_seconds
from swarmsec.errors import IntegrityFailure, UsageProblem
from swarmsec.services.ports import Keys, Transaction
from swarmsec.services.requester import Requester
from swarmsec.services.trust.publish_trust import sign_online
from swarmsec.services.trust.signed_policy import signed_policy_file
from swarmsec.services.trust.trust_records import TrustRole
from swarmsec.services.trust.trust_state import moment, present_document, verify_initialised

MIN_TTL: Final = timedelta(minutes=1)


def export_trust(transaction: Transaction, keys: Keys, requester: Requester, *, ttl: timedelta) -> bytes:
    """Make a bundle.

    Args:
        transaction: of the home.
        keys: the sealed store.
        requester: who asks.
        ttl: how long it holds.

    Raises:
        NotFound: there is no repository.
        UsageProblem: longer than the root allows.
    """
    verify_initialised(transaction)
    ceiling = timedelta(seconds=plan_of_root(present_document(transaction, ROOT).body).bundle_ttl_max_seconds)
    if not MIN_TTL <= ttl <= ceiling:
        seconds = int(ttl.total_seconds())
        raise UsageProblem(f"expected --ttl of 1m to {ceiling.days}d, as the root allows, got {seconds}s")
    rows = {row.role: row for row in transaction.trust.roles.all() if row.version}
    files = dict(_file(transaction, row.role, version) for row in rows.values() for version in _versions(row))
    policy = signed_policy_file(transaction)
    if policy is not None:
        files[POLICY_PATH] = _data(transaction, policy)
    expires = moment(transaction) + ttl
    body = build_timestamp(rows[SNAPSHOT].version, version=rows[TIMESTAMP].version, expires=expires, is_for_bundle=True)
    timestamp = sign_online(transaction, keys, Document(role=TIMESTAMP, body=body, signatures={}))
    until = rfc3339_seconds(int(expires.timestamp()))
    target = ObjectRef(type="trust-bundle", version=rows[TARGETS].version)
    transaction.log(requester.event(Action.TRUST_EXPORT, target, fields={"expires": until, "files": len(files)}))
    return write_bundle(files, timestamp.encode())


def _versions(row: TrustRole) -> range:
    """Of root every version, for a reader may come from any; of others the one in force. A timestamp has its own."""
    if row.role == TIMESTAMP:
        return range(0)
    return range(1 if row.role == ROOT else row.version, row.version + 1)


def _file(transaction: Transaction, role: str, version: int) -> tuple[str, bytes]:
    name = file_name(role, version)
    return name, _data(transaction, name)


def _data(transaction: Transaction, name: str) -> bytes:
    data = transaction.trust.files.get(name)
    if data is None:
        raise IntegrityFailure(f"expected the published file {name}, got nothing")
    return data
