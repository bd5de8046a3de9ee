"""Put policy documents in force, all of them or none, and read back those that are.

Every applied version is kept. A document that is in force already, byte for byte of its canonical form, makes no new
version and no entry. What is stored is read again by the same strict reader whenever it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from policies.checking import check_set
from policies.documents import Document
from policies.errors import PolicyError
from policies.loading import load_documents
from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import unix_seconds
from swarmsec.errors import IntegrityFailure, NotFound, UsageProblem
from swarmsec.services.ports import Transaction
from swarmsec.services.records import PolicyRecord
from swarmsec.services.requester import Requester

ACTIVE: Final = "active"
_DIGEST_PREFIX: Final = "sha256:"


class Change(StrEnum):
    """What applying a document does."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedChange:
    """A document with the version it has or gets; ``former`` is the version that it replaces."""

    document: Document
    change: Change
    version: int
    former: PolicyRecord | None = None


def plan_policies(transaction: Transaction, documents: Sequence[Document]) -> Sequence[PlannedChange]:
    """Find out what applying documents would do, and refuse what may not be applied.

    Raises:
        AmbiguousPolicy: with what stays in force, two rules would answer one request differently.
        UsageProblem: a document cannot be kept.
        IntegrityFailure: a document in force does not read.
    """
    new = {(document.kind.value, document.name) for document in documents}
    staying = [
        document for document in active_documents(transaction) if (document.kind.value, document.name) not in new
    ]
    check_set([*staying, *documents])
    for document in documents:
        _verify_keepable(document)
    return [_planned(transaction, document) for document in documents]


def apply_policies(
    transaction: Transaction, documents: Sequence[Document], requester: Requester
) -> Sequence[PlannedChange]:
    """Put documents in force; one entry for each that changes anything.

    Raises:
        as ``plan_policies``; then nothing is applied.
    """
    planned = plan_policies(transaction, documents)
    for item in planned:
        if item.change is not Change.UNCHANGED:
            _apply(transaction, item, requester)
    return planned


def active_documents(transaction: Transaction) -> Sequence[Document]:
    """Every document in force, of every kind, by kind and name.

    Raises:
        IntegrityFailure: one of them does not read, or is not what its digest says.
    """
    return [read_document(record) for record in transaction.policies.active()]


# A delivery asks for every document in force; reading YAML costs more than everything else that it does. The record is
# the whole key, its text included, so what is in the database decides each time which document that is.
@lru_cache(maxsize=256)
def read_document(record: PolicyRecord) -> Document:
    """Read a kept document.

    Raises:
        IntegrityFailure: see ``active_documents``.
    """
    where = f"policy {record.kind} {record.name} version {record.version}"
    try:
        (document,) = load_documents(record.document.encode(), source=where)
    except (PolicyError, ValueError) as error:
        raise IntegrityFailure(f"{where} is in the store but does not read: {error}") from None
    if document.digest != digest_text(record) or (document.kind, document.name) != (record.kind, record.name):
        raise IntegrityFailure(f"{where} is not the document that its record names")
    return document


def find_policy(transaction: Transaction, kind: str, name: str, version: int | None = None) -> PolicyRecord:
    """A version of a document; the one in force where none is named.

    Raises:
        NotFound: there is no such document or version.
    """
    versions = transaction.policies.versions(kind, name)
    wanted = [item for item in versions if (item.state == ACTIVE if version is None else item.version == version)]
    if not wanted:
        what = f"policy {kind} {name!r:.80}" if version is None else f"version {version} of {kind} {name!r:.80}"
        raise NotFound(f"no {what}", hint="list them with: swarmsec policy list")
    return wanted[0]


def digest_text(record: PolicyRecord) -> str:
    """The digest of a kept document as everybody writes it: ``sha256:`` and hex."""
    return _DIGEST_PREFIX + record.document_sha256


def _verify_keepable(document: Document) -> None:
    """NOTE: the canonical form may be longer than the text it was read from, and so over the reader's limit."""
    try:
        (again,) = load_documents(document.canonical, source=f"{document.kind} {document.name}")
    except PolicyError as error:
        raise UsageProblem(
            f"{document.kind} {document.name} is too large to be kept: {error}", hint="split it into several documents"
        ) from None
    if again.digest != document.digest:
        raise UsageProblem(f"{document.kind} {document.name} cannot be kept exactly as it was written")


def _planned(transaction: Transaction, document: Document) -> PlannedChange:
    versions = transaction.policies.versions(document.kind.value, document.name)
    former = next((record for record in versions if record.state == ACTIVE), None)
    if former is not None and digest_text(former) == document.digest:
        return PlannedChange(document=document, change=Change.UNCHANGED, version=former.version, former=former)
    version = max((record.version for record in versions), default=0) + 1
    change = Change.NEW if former is None else Change.CHANGED
    return PlannedChange(document=document, change=change, version=version, former=former)


def _apply(transaction: Transaction, item: PlannedChange, requester: Requester) -> None:
    document = item.document
    if item.former is not None:
        transaction.policies.retire(item.former)
    transaction.policies.add(
        PolicyRecord(
            kind=document.kind.value,
            name=document.name,
            version=item.version,
            document_sha256=document.digest.removeprefix(_DIGEST_PREFIX),
            document=document.canonical.decode(),
            state=ACTIVE,
            applied=unix_seconds(transaction.clock),
        )
    )
    target = ObjectRef(type="policy", id=document.kind.value, name=document.name, version=item.version)
    fields = {"digest": document.digest}
    if item.former is not None:
        fields["replaces"] = digest_text(item.former)
    transaction.log(requester.event(Action.POLICY_APPLY, target, fields=fields))
