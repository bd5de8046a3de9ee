"""Put new metadata in force: the files, the snapshot and timestamp over them, and the rows that say so.

All of it is one transaction with the entry that the caller logs, so readers see the repository before or after it and
never between. What clients would refuse is not published: every document is held against its quorum once more, and
versions only grow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from notary.errors import SignatureRefused
from notary.repository import build_snapshot, build_timestamp, next_snapshot, plan_of_root, plan_of_targets
from notary.roles import PERIODS, REVOCATIONS, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, TIMESTAMP_FILE, TOP_LEVEL, file_name
from notary.signing import Document, Quorum
from swarmsec.errors import Changed
from swarmsec.services.ports import Keys, Transaction
from swarmsec.services.trust.trust_records import TrustRole
from swarmsec.services.trust.trust_state import (
    current_document,
    is_complete,
    moment,
    needed_quorums,
    quorum_of,
    remember_key,
    sign_embedded,
    single,
    unix_of,
)

KEPT_BYTES: Final = 32 * 1024 * 1024
MIN_KEPT: Final = 8
MAX_KEPT: Final = 512
"""Former versions of a role stay for clients that read the repository right now; a client that takes longer than so
many publications begins again."""
_REMOVED_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What is in force now."""

    versions: Mapping[str, int]
    snapshot: int
    timestamp: int


def publish(transaction: Transaction, keys: Keys, documents: Sequence[Document], *, at_least: int = 0) -> Published:
    """Publish documents that are signed; the caller logs the entry.

    Args:
        transaction: of the home.
        keys: the sealed store.
        documents: complete.
        at_least: what the versions of snapshot and timestamp must not stay below.

    Raises:
        SignatureRefused: a quorum is not met.
        Changed: somebody published a version of the same role meanwhile.
    """
    for document in documents:
        _verify_next(transaction, document)
        if not is_complete(document, needed_quorums(transaction, documents, document)):
            raise SignatureRefused(f"expected enough signatures of version {document.version} of {document.role}")
    for document in documents:
        _keep(transaction, document)
        _take_up_quorums(transaction, document)
    changed = {document.role: document.version for document in documents}
    listed = {role: version for role, version in changed.items() if role != ROOT}
    snapshot = _publish_snapshot(transaction, keys, listed, at_least)
    timestamp = publish_timestamp(transaction, keys, snapshot, at_least=at_least)
    return Published(versions=changed, snapshot=snapshot, timestamp=timestamp)


def _verify_next(transaction: Transaction, document: Document) -> None:
    """Roots count without a gap (section 5.3.5 of the TUF specification); other roles only have to grow."""
    row = transaction.trust.roles.get(document.role)
    present = 0 if row is None else row.version
    if document.version <= present or (document.role == ROOT and document.version != present + 1):
        raise Changed(
            f"expected version {present + 1} of {document.role}, got {document.version}: it changed meanwhile",
            hint="drop the pending change and begin again: swarmsec trust pending --drop ID",
        )


def publish_timestamp(transaction: Transaction, keys: Keys, snapshot: int, *, at_least: int = 0) -> int:
    """Sign a timestamp over a snapshot; returns its version, and the caller logs the entry."""
    row = transaction.trust.roles.get(TIMESTAMP)
    version = max(1 if row is None else row.version + 1, at_least)
    body = build_timestamp(snapshot, version=version, expires=moment(transaction) + PERIODS.timestamp)
    document = sign_online(transaction, keys, Document(role=TIMESTAMP, body=body, signatures={}))
    transaction.trust.files.replace(TIMESTAMP_FILE, document.encode())
    _note_version(transaction, document, oldest=version)
    return version


def sign_online(transaction: Transaction, keys: Keys, document: Document) -> Document:
    """Sign with the service's own key of a role."""
    return sign_embedded(transaction, keys, document, [quorum_of(transaction, document.role)])


def _publish_snapshot(transaction: Transaction, keys: Keys, changed: Mapping[str, int], at_least: int) -> int:
    former = current_document(transaction, SNAPSHOT)
    expires = moment(transaction) + PERIODS.snapshot
    if former is None:
        body = build_snapshot(changed, version=1, expires=expires)
    else:
        body = next_snapshot(former.body, changed, expires, at_least=at_least)
    document = sign_online(transaction, keys, Document(role=SNAPSHOT, body=body, signatures={}))
    _keep(transaction, document)
    return document.version


def _keep(transaction: Transaction, document: Document) -> None:
    """Add a version's file, and remove those that nobody needs any more."""
    data, files = document.encode(), transaction.trust.files
    files.add(file_name(document.role, document.version), data)
    row = transaction.trust.roles.get(document.role)
    # After a restore versions leave a gap, and what lies before it stays where it is.
    goes_on = row is not None and row.version > 0 and document.version == row.version + 1
    oldest = row.oldest if row is not None and goes_on else document.version
    if document.role != ROOT:
        # NOTE: every root stays: a client comes from the one that it was given, however long ago.
        last = document.version - max(MIN_KEPT, min(MAX_KEPT, KEPT_BYTES // len(data)))
        for version in range(oldest, min(last, oldest + _REMOVED_AT_ONCE - 1) + 1):
            files.remove(file_name(document.role, version))
            oldest = version + 1
    _note_version(transaction, document, oldest=oldest)


def _note_version(transaction: Transaction, document: Document, *, oldest: int) -> None:
    row = transaction.trust.roles.get(document.role)
    transaction.trust.roles.put(
        TrustRole(
            role=document.role,
            version=document.version,
            oldest=oldest,
            expires=unix_of(document.expires),
            threshold=row.threshold if row else 0,
            keyids=row.keyids if row else (),
        )
    )


def _take_up_quorums(transaction: Transaction, document: Document) -> None:
    """Note who signs what from now on; it is the root, or the targets, that says so."""
    if document.role == ROOT:
        plan = plan_of_root(document.body)
        _put_quorums(
            transaction,
            {
                ROOT: plan.root,
                TARGETS: plan.targets,
                SNAPSHOT: single(plan.snapshot),
                TIMESTAMP: single(plan.timestamp),
            },
        )
    elif document.role == TARGETS:
        listed = plan_of_targets(document.body)
        quorums = {**listed.repositories, REVOCATIONS: single(listed.revocations)}
        _put_quorums(transaction, quorums)
        for row in transaction.trust.roles.all():
            if row.role not in TOP_LEVEL and row.role not in quorums and row.keyids:
                _put_row(transaction, row, threshold=0, keyids=())


def _put_quorums(transaction: Transaction, quorums: Mapping[str, Quorum]) -> None:
    known = {row.role: row for row in transaction.trust.roles.all()}
    for role, quorum in quorums.items():
        row = known.get(role) or TrustRole(role=role, version=0, oldest=0, expires=0, threshold=0, keyids=())
        keyids = tuple(sorted(quorum.keys))
        if (row.threshold, row.keyids) != (quorum.threshold, keyids):
            for key in quorum.keys.values():
                remember_key(transaction, key)
            _put_row(transaction, row, threshold=quorum.threshold, keyids=keyids)


def _put_row(transaction: Transaction, row: TrustRole, *, threshold: int, keyids: tuple[str, ...]) -> None:
    transaction.trust.roles.put(
        TrustRole(
            role=row.role,
            version=row.version,
            oldest=row.oldest,
            expires=row.expires,
            threshold=threshold,
            keyids=keyids,
        )
    )
