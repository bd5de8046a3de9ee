"""The keys of keyed hashes in the log, by terms: making, using and erasing them, and asking what is said of a value.

A term's key is a sealed record. The newest term is used for what is written; a former one stays, so that what it hashed
can be found, until it is erased.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from swarmsec.audit.actions import Action
from swarmsec.audit.entry import Event, ObjectRef, Source
from swarmsec.audit.keyedhash import KEY_BYTES, keyed_hash
from swarmsec.config import ADDRESSES, SUBJECTS
from swarmsec.errors import NotFound
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.ports import Keys, Transaction
from swarmsec.services.requester import SERVICE, Requester

NEWEST: Final = "audit_hash_newest"


def standing_terms(transaction: Transaction) -> list[int]:
    """The terms whose keys are kept, ascending."""
    newest = int(transaction.settings.get(NEWEST) or 0)
    return [term for term in range(1, newest + 1) if transaction.sealed.get(_record(term)) is not None]


def begin_hash_term(transaction: Transaction, keys: Keys, requester: Requester) -> int:
    """Make the key of a new term, which hashes from now on."""
    term = int(transaction.settings.get(NEWEST) or 0) + 1
    keys.put(transaction, _record(term), SecretBytes(transaction.clock.random(KEY_BYTES)))
    transaction.settings.put(NEWEST, str(term))
    transaction.log(requester.event(Action.AUDIT_HASH_KEY_CREATE, _reference(term)))
    return term


def erase_hash_term(transaction: Transaction, keys: Keys, requester: Requester, term: int) -> None:
    """Erase the key of a term: what it hashed says nothing to anybody from now on.

    Args:
        transaction: of this unit; after it the write-ahead log is to be truncated.
        keys: the open key store.
        requester: who asks.
        term: of which.

    Raises:
        NotFound: it has no key.
    """
    if term not in standing_terms(transaction):
        raise NotFound(f"no key of keyed hashes of term {term}", hint="list them with: swarmsec audit hash-keys")
    keys.destroy(transaction, _record(term))
    transaction.log(requester.event(Action.AUDIT_HASH_KEY_ERASE, _reference(term)))


def hash_for_log(transaction: Transaction, keys: Keys, value: SecretBytes) -> str:
    """The hash of a value under the newest term; the first use makes one, and logs that.

    Call it before the unit changes rows: these belong to the entry that comes after.
    """
    term, key = _writing_key(transaction, keys)
    return keyed_hash(key.reveal(), term, value.reveal())


def ask_about_value(transaction: Transaction, keys: Keys, requester: Requester, value: SecretBytes) -> set[str]:
    """The hashes by which entries may speak of a value, one for each term that stands. That it was asked is logged.

    A value that ends with a newline is looked for without it as well.
    """
    data = value.reveal()
    forms = {data, data.removesuffix(b"\n")}
    terms = standing_terms(transaction)
    found = {keyed_hash(keys.get(transaction, _record(term)).reveal(), term, form) for term in terms for form in forms}
    newest = keyed_hash(keys.get(transaction, _record(terms[-1])).reveal(), terms[-1], data) if terms else ""
    transaction.log(requester.event(Action.AUDIT_MATCH, ObjectRef(type="keyed-hash", id=newest)))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Concealment:
    """Puts keyed hashes in the place of what must not stand in entries in clear."""

    term: int
    key: SecretBytes
    addresses: bool
    subjects: bool

    def __call__(self, event: Event) -> Event:
        """The event as it may be written."""
        if self.addresses and event.source.ip:
            source = Source(ip=self._hash(event.source.ip), node=event.source.node, pid=event.source.pid)
            event = msgspec.structs.replace(event, source=source)
        subject = event.fields.get("subject") if self.subjects else None
        if isinstance(subject, str):
            event = msgspec.structs.replace(event, fields={**event.fields, "subject": self._hash(subject)})
        return event

    def _hash(self, text: str) -> str:
        return keyed_hash(self.key.reveal(), self.term, text.encode("utf-8", "surrogatepass"))


def open_concealment(transaction: Transaction, keys: Keys, wanted: Sequence[str]) -> Concealment:
    """What conceals according to the settings."""
    term, key = _writing_key(transaction, keys)
    return Concealment(term=term, key=key, addresses=ADDRESSES in wanted, subjects=SUBJECTS in wanted)


def _writing_key(transaction: Transaction, keys: Keys) -> tuple[int, SecretBytes]:
    newest = int(transaction.settings.get(NEWEST) or 0)
    if transaction.sealed.get(_record(newest)) is None:
        newest = begin_hash_term(transaction, keys, SERVICE)
    return newest, keys.get(transaction, _record(newest))


def _record(term: int) -> str:
    return f"audit/hash-key/{term}"


def _reference(term: int) -> ObjectRef:
    return ObjectRef(type="hash-key", version=term)
