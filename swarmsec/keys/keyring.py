"""The key ring: terms under the root key, records under terms.

The active term seals; a term that is ``decrypt-only`` still opens what was sealed under it until ``rewrap`` has moved
every record on; then its key is erased. Term keys are sealed records themselves, under the root key as term 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from swarmsec.clock import unix_seconds
from swarmsec.errors import IntegrityFailure
from swarmsec.secretbytes import SecretBytes
from swarmsec.secretstore.envelope import (
    KEY_BYTES,
    RecordContext,
    SealedRecord,
    TermKey,
    open_record,
    rewrap,
    seal,
)
from swarmsec.services.ports import Transaction
from swarmsec.services.records import KeyTermRow, SealedRow

ROOT_TERM: Final = 0
ACTIVE: Final = "active"
DECRYPT_ONLY: Final = "decrypt-only"
DESTROYED: Final = "destroyed"
_KEPT_OPEN: Final = frozenset({"ca/token/worker", "ca/token/manager", "ca/token-key", "secrets/fingerprint-key"})
"""What each node that joins is compared with, and what names a secret in the labels of services: kept open as terms
are, by the very row that was opened."""
NAMES_PER_ENTRY_BYTES: Final = 49_152
"""What the row changes of one rewrap may take of an entry, which is smaller than 64 KiB as a whole."""
ROW_CHANGE_BYTES: Final = 96
"""A row change without its key: the table's name, the digest and the JSON around them."""


class KeyRing:
    """Seals and opens records of one store.

    Args:
        store_id: the store, part of every record's associated data.
        root: the root key, 32 bytes.
    """

    def __init__(self, store_id: str, root: SecretBytes) -> None:
        self._store_id = store_id
        self._root = TermKey(term=ROOT_TERM, key=root)
        # By the sealed key, not by the number: a transaction that is rolled back may have used the number already.
        self._opened: dict[bytes, TermKey] = {}
        self._tokens: dict[SealedRow, SecretBytes] = {}

    @property
    def root(self) -> SecretBytes:
        """The root key, for wrapping under a further seal and for ``unlock``."""
        return self._root.key

    def add_term(self, transaction: Transaction) -> int:
        """Make a new active term; the present one becomes decrypt-only.

        Returns:
            its number. The caller logs the entry.
        """
        terms = transaction.key_terms.all()
        for row in terms:
            if row.state == ACTIVE:
                transaction.key_terms.change(_with_state(row, DECRYPT_ONLY))
        term = max((row.term for row in terms), default=ROOT_TERM) + 1
        created = unix_seconds(transaction.clock)
        random = transaction.clock.random
        sealed = seal(self._root, self._term_context(term, created), random(KEY_BYTES), random)
        row = KeyTermRow(term=term, state=ACTIVE, wrapped_key=sealed.wrapped_key, body=sealed.body, created=created)
        transaction.key_terms.add(row)
        return term

    def put(self, transaction: Transaction, name: str, value: SecretBytes) -> None:
        """Seal a value under a name; an earlier value of the name is overwritten. The caller logs the entry."""
        previous = transaction.sealed.get(name)
        version = 1 if previous is None else previous.version + 1
        created = unix_seconds(transaction.clock)
        key = self._active(transaction)
        context = RecordContext(store_id=self._store_id, name=name, version=version, created=created)
        sealed = seal(key, context, value.reveal(), transaction.clock.random)
        transaction.sealed.put(
            SealedRow(
                name=name,
                version=version,
                created=created,
                term=key.term,
                wrapped_key=sealed.wrapped_key,
                body=sealed.body,
            )
        )

    def get(self, transaction: Transaction, name: str) -> SecretBytes:
        """Open the value of a name.

        Raises:
            IntegrityFailure: no value has this name, though whoever asks knows of it.
            RecordUnreadable: it does not open.
        """
        row = transaction.sealed.get(name)
        if row is None:
            raise IntegrityFailure(
                f"expected sealed record {name} in the store, found none",
                hint="check all of it with: swarmsec audit verify",
            )
        if name not in _KEPT_OPEN:
            return self._open(transaction, row)
        known = self._tokens.get(row)
        if known is None:
            known = self._open(transaction, row)
            newest = list(self._tokens.items())[1 - len(_KEPT_OPEN) :]
            self._tokens = {**dict(newest), row: known}
        # Whoever gets it may wipe it.
        return SecretBytes(known.reveal())

    def _open(self, transaction: Transaction, row: SealedRow) -> SecretBytes:
        return open_record(self._term(transaction, row.term), self._context(row), _record(row))

    def rewrap_some(self, transaction: Transaction, limit: int, after: str = "") -> Sequence[str]:
        """Move records to the active term, by name.

        Args:
            limit: how many at most; fewer where their names would not fit into one entry of the log.
            after: begin after this name.

        Returns:
            the names of those it moved; the caller logs the entry.
        """
        active = self._active(transaction)
        names: list[str] = []
        room = NAMES_PER_ENTRY_BYTES
        for row in transaction.sealed.not_under(active.term, limit, after):
            # A name takes three times its bytes where all of it is percent-encoded in the row's key.
            room -= 3 * len(row.name.encode()) + ROW_CHANGE_BYTES
            if room < 0 and names:
                break
            old = self._term(transaction, row.term)
            moved = rewrap(old, active, self._context(row), row.wrapped_key, transaction.clock.random)
            transaction.sealed.put(_with_wrapped_key(row, active.term, moved))
            names.append(row.name)
        return names

    def destroy_unused(self, transaction: Transaction) -> list[int]:
        """Erase the keys of decrypt-only terms that no record needs; returns their numbers."""
        destroyed = []
        for row in transaction.key_terms.all():
            if row.state == DECRYPT_ONLY and transaction.sealed.count_under(row.term) == 0:
                gone = KeyTermRow(term=row.term, state=DESTROYED, wrapped_key=b"", body=b"", created=row.created)
                transaction.key_terms.change(gone)
                self._opened.pop(row.wrapped_key, None)
                destroyed.append(row.term)
        return destroyed

    def _active(self, transaction: Transaction) -> TermKey:
        for row in transaction.key_terms.all():
            if row.state == ACTIVE:
                return self._open_term(row)
        raise IntegrityFailure("expected an active key term, got none", hint="restore the newest backup")

    def _term(self, transaction: Transaction, term: int) -> TermKey:
        for row in transaction.key_terms.all():
            if row.term == term and row.state != DESTROYED:
                return self._open_term(row)
        raise IntegrityFailure(f"expected key term {term}, which no longer exists")

    def _open_term(self, row: KeyTermRow) -> TermKey:
        known = self._opened.get(row.wrapped_key)
        if known is None:
            record = SealedRecord(wrapped_key=row.wrapped_key, body=row.body)
            known = TermKey(
                term=row.term, key=open_record(self._root, self._term_context(row.term, row.created), record)
            )
            self._opened[row.wrapped_key] = known
        return known

    def _term_context(self, term: int, created: int) -> RecordContext:
        return RecordContext(store_id=self._store_id, name=f"keyring/term/{term}", version=term, created=created)

    def _context(self, row: SealedRow) -> RecordContext:
        return RecordContext(store_id=self._store_id, name=row.name, version=row.version, created=row.created)


def _record(row: SealedRow) -> SealedRecord:
    return SealedRecord(wrapped_key=row.wrapped_key, body=row.body)


def _with_state(row: KeyTermRow, state: str) -> KeyTermRow:
    return KeyTermRow(term=row.term, state=state, wrapped_key=row.wrapped_key, body=row.body, created=row.created)


def _with_wrapped_key(row: SealedRow, term: int, wrapped_key: bytes) -> SealedRow:
    return SealedRow(
        name=row.name,
        version=row.version,
        created=row.created,
        term=term,
        wrapped_key=wrapped_key,
        body=row.body,
    )
