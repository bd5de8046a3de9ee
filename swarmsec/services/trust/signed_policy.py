"""The trust policy as a signed target, for bundles and for clients that have nothing but the repository.

It is the text of every trust policy in force, as one file. The top-level targets name its length and hash; the file
itself lies beside the metadata under one name, for there is only one that counts.
"""

from __future__ import annotations

import hashlib
from typing import Final

from notary.roles import POLICY_PATH, TARGETS
from notary.signing import Document
from policies.documents import Kind
from swarmsec.services.access.apply_policy import active_documents
from swarmsec.services.ports import Transaction
from swarmsec.services.trust.trust_state import current_document

_SEPARATOR: Final = b"\n---\n"


def policy_bytes(transaction: Transaction) -> bytes:
    """The trust policies in force, as one text."""
    documents = [item for item in active_documents(transaction) if item.kind is Kind.TRUST]
    return _SEPARATOR.join(document.canonical for document in documents) + b"\n"


def keep_policy_file(transaction: Transaction, policy: bytes) -> None:
    """Keep the file that the next top-level targets name; the caller logs the entry."""
    transaction.trust.files.replace(file_of(policy), policy)


def file_of(policy: bytes) -> str:
    """The name of a policy's file, as clients ask for it with consistent snapshots."""
    return _file_name(hashlib.sha256(policy).hexdigest())


def signed_policy_file(transaction: Transaction) -> str | None:
    """The name of the file of the policy that is signed now, or None."""
    document = current_document(transaction, TARGETS)
    named = None if document is None else document.body["targets"].get(POLICY_PATH)
    return None if named is None else _file_name(named["hashes"]["sha256"])


def policy_of_plan(policy: bytes) -> tuple[int, str]:
    """What top-level targets say of a policy."""
    return len(policy), hashlib.sha256(policy).hexdigest()


def is_policy_signed(transaction: Transaction, targets: Document) -> bool:
    """Whether the policy that top-level targets name is the one in force."""
    length, sha256 = policy_of_plan(policy_bytes(transaction))
    named = targets.body["targets"].get(POLICY_PATH, {})
    return bool(named.get("length") == length and named.get("hashes") == {"sha256": sha256})


def _file_name(sha256: str) -> str:
    directory, _, name = POLICY_PATH.rpartition("/")
    return f"{directory}/{sha256}.{name}"
