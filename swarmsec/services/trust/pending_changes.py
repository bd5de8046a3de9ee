"""Changes of the repository: published at once where the home's keys suffice, else kept until others have signed.

A change is one or several documents that only make sense together; they are published together. What is kept is the
exact file of each document, so what one signer saw is what the next one signs. Signatures come one signer at a time,
and the last one that is needed publishes.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from notary.changefiles import MAX_CHANGE_BYTES, Brought, ChangeFile, ToSign
from notary.errors import SignatureRefused
from notary.roles import OWN_ROLES
from notary.signing import Document, Quorum, add_signature, own_document
from notary.strictjson import encode_json, parse_strict
from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import unix_seconds
from swarmsec.errors import Changed, NotFound
from swarmsec.services.ports import Keys, Transaction
from swarmsec.services.requester import Field, Requester
from swarmsec.services.trust.publish_trust import Published, publish
from swarmsec.services.trust.trust_records import PendingChange
from swarmsec.services.trust.trust_state import is_complete, needed_quorums, sign_embedded

_ID_BYTES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A change that somebody wants.

    Attributes:
        summary: what it does, for signers.
        documents: what it publishes.
        target: what the log names.
        fields: what else the log says.
    """

    summary: str
    documents: tuple[Document, ...]
    target: ObjectRef
    fields: Mapping[str, Field] = field(default_factory=dict)


def carry_out(
    transaction: Transaction, keys: Keys, requester: Requester, proposal: Proposal
) -> Published | PendingChange:
    """Sign a change with the home's keys, and publish it if that is enough.

    Returns:
        what was published, or the change that waits for more signatures. A change of a repository's images that
        waits already is replaced: the new one holds what it held.

    Raises:
        Changed: root or targets wait for signatures of another change.
    """
    replaced = _overlapping(transaction, proposal.documents)
    documents = tuple(
        sign_embedded(transaction, keys, document, needed_quorums(transaction, proposal.documents, document))
        for document in proposal.documents
    )
    for former in replaced:
        transaction.trust.changes.remove(former.change_id)
    if _are_complete(transaction, documents):
        return _publish(transaction, keys, requester, proposal, documents)
    change = PendingChange(
        change_id=transaction.clock.random(_ID_BYTES).hex(),
        summary=proposal.summary,
        data=_encoded(documents),
        created=unix_seconds(transaction.clock),
    )
    transaction.trust.changes.put(change)
    fields = {**proposal.fields, "change": change.change_id, "summary": proposal.summary}
    transaction.log(requester.event(Action.TRUST_PROPOSE, proposal.target, fields=fields))
    return change


def documents_of(change: PendingChange) -> tuple[Document, ...]:
    """The documents of a change, with the signatures so far."""
    listed = parse_strict(change.data, limit=MAX_CHANGE_BYTES)["documents"]
    return tuple(own_document(item["role"], base64.b64decode(item["metadata"])) for item in listed)


def pending_document(transaction: Transaction, role: str) -> Document | None:
    """The document of a role that waits for signatures, or None."""
    waiting = (document for change in transaction.trust.changes.all() for document in documents_of(change))
    return next((document for document in waiting if document.role == role), None)


def find_change(transaction: Transaction, change_id: str) -> PendingChange:
    """A change that waits.

    Raises:
        NotFound: there is none of this id; it may be published, replaced or dropped.
    """
    change = transaction.trust.changes.get(change_id)
    if change is None:
        raise NotFound(f"no pending change {change_id[:40]!r}", hint="list them with: swarmsec trust pending")
    return change


def add_signatures(
    transaction: Transaction, keys: Keys, requester: Requester, change_id: str, brought: Sequence[Brought]
) -> Published | PendingChange:
    """Take signatures for a change; the last one that is needed publishes it.

    Raises:
        NotFound: no such change waits.
        SignatureRefused: one of them does not count; then none is taken.
    """
    change = find_change(transaction, change_id)
    documents = {document.role: document for document in documents_of(change)}
    for item in brought:
        if item.role not in documents:
            raise SignatureRefused(f"the change {change_id} has no document of {item.role[:80]!r}")
        quorums = needed_quorums(transaction, tuple(documents.values()), documents[item.role])
        documents[item.role] = add_signature(documents[item.role], quorums, item.keyid, item.signature)
    signed = tuple(documents.values())
    target = ObjectRef(type="trust-change", id=change_id)
    signers = sorted({item.keyid for item in brought})
    if _are_complete(transaction, signed):
        transaction.trust.changes.remove(change_id)
        transaction.log(requester.event(Action.TRUST_SIGN, target, fields={"keys": signers}))
        proposal = Proposal(summary=change.summary, documents=signed, target=target)
        return _publish(transaction, keys, requester, proposal, signed)
    kept = replace(change, data=_encoded(signed))
    transaction.trust.changes.put(kept)
    transaction.log(requester.event(Action.TRUST_SIGN, target, fields={"keys": signers}))
    return kept


def drop_change(transaction: Transaction, requester: Requester, change_id: str) -> None:
    """Give up a change.

    Raises:
        NotFound: no such change waits.
    """
    change = find_change(transaction, change_id)
    transaction.trust.changes.remove(change_id)
    target = ObjectRef(type="trust-change", id=change_id)
    transaction.log(requester.event(Action.TRUST_DROP, target, fields={"summary": change.summary}))


def missing_signatures(transaction: Transaction, change: PendingChange) -> dict[str, list[dict[str, Any]]]:
    """For each role of a change the quorums that are not met: how many are missing, and whose would count."""
    documents = documents_of(change)
    return {
        document.role: [
            _missing(quorum, document)
            for quorum in needed_quorums(transaction, documents, document)
            if not quorum.is_met(document.signed, document.signatures)
        ]
        for document in documents
    }


def change_file(transaction: Transaction, change: PendingChange) -> ChangeFile:
    """A change as it goes to its signers."""
    documents = documents_of(change)
    listed = tuple(
        ToSign(document=document, quorums=needed_quorums(transaction, documents, document)) for document in documents
    )
    return ChangeFile(change_id=change.change_id, summary=change.summary, documents=listed)


def _overlapping(transaction: Transaction, documents: Sequence[Document]) -> list[PendingChange]:
    roles = {document.role for document in documents}
    replaced = []
    for change in transaction.trust.changes.all():
        waiting = {document.role for document in documents_of(change)}
        if not roles & waiting:
            continue
        if len(waiting) > 1 or waiting & OWN_ROLES or roles != waiting:
            raise Changed(
                f"a change waits for signatures already: {change.summary}",
                hint=f"complete it, or: swarmsec trust pending --drop {change.change_id}",
            )
        replaced.append(change)
    return replaced


def _publish(
    transaction: Transaction, keys: Keys, requester: Requester, proposal: Proposal, documents: tuple[Document, ...]
) -> Published:
    published = publish(transaction, keys, documents)
    fields = {
        **proposal.fields,
        "summary": proposal.summary,
        "roles": [f"{role} {version}" for role, version in published.versions.items()],
        "snapshot": published.snapshot,
        "timestamp": published.timestamp,
    }
    transaction.log(requester.event(Action.TRUST_PUBLISH, proposal.target, fields=fields))
    return published


def _are_complete(transaction: Transaction, documents: tuple[Document, ...]) -> bool:
    return all(is_complete(document, needed_quorums(transaction, documents, document)) for document in documents)


def _encoded(documents: Sequence[Document]) -> bytes:
    listed = [{"role": item.role, "metadata": base64.b64encode(item.encode()).decode("ascii")} for item in documents]
    return encode_json({"documents": listed})


def _missing(quorum: Quorum, document: Document) -> dict[str, Any]:
    counted = quorum.counted(document.signed, document.signatures)
    return {"missing": quorum.threshold - len(counted), "keys": sorted(set(quorum.keys) - counted)}
