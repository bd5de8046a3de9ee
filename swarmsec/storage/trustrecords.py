"""The trust services' records over tables; each class implements its namesake in ``services.trust.trust_ports``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from swarmsec.services.trust.trust_records import PendingChange, TrustKey, TrustRole
from swarmsec.storage import trusttables as tables

if TYPE_CHECKING:
    from swarmsec.storage.rows import Row
    from swarmsec.storage.transaction import Transaction


class TrustRoles:
    """Roles by name."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        # A publication asks for the same few roles again and again, and only this object changes them meanwhile.
        self._known: dict[str, TrustRole | None] = {}

    def get(self, role: str) -> TrustRole | None:
        """The role, or None."""
        if role not in self._known:
            row = self._transaction.find(tables.trust_roles, role=role)
            self._known[role] = None if row is None else _role(row)
        return self._known[role]

    def put(self, role: TrustRole) -> None:
        """Write a role over the one of the same name."""
        values = {**asdict(role), "keyids": json.dumps(role.keyids)}
        row = self._transaction.find(tables.trust_roles, role=role.role)
        self._known[role.role] = role
        if row is None:
            self._transaction.insert(tables.trust_roles, **values)
        else:
            self._transaction.update(tables.trust_roles, row, **values)

    def remove(self, role: str) -> None:
        """Forget a role."""
        row = self._transaction.find(tables.trust_roles, role=role)
        self._known[role] = None
        if row is not None:
            self._transaction.delete(tables.trust_roles, row)

    def all(self) -> Sequence[TrustRole]:
        """Every role, by name."""
        return [_role(row) for row in self._transaction.find_all(tables.trust_roles)]


class TrustKeys:
    """Signers' public keys by id."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._known: dict[str, TrustKey] = {}

    def get(self, keyid: str) -> TrustKey | None:
        """The key, or None."""
        if keyid not in self._known:
            row = self._transaction.find(tables.trust_keys, keyid=keyid)
            if row is None:
                return None
            self._known[keyid] = TrustKey(**_values(row))
        return self._known[keyid]

    def add(self, key: TrustKey) -> None:
        """Add a key; one that is known already stays as it is."""
        if self.get(key.keyid) is None:
            self._transaction.insert(tables.trust_keys, **asdict(key))
            self._known[key.keyid] = key

    def all(self) -> Sequence[TrustKey]:
        """Every key ever named."""
        return [TrustKey(**_values(row)) for row in self._transaction.find_all(tables.trust_keys)]


class TrustFiles:
    """Published files by name."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def get(self, name: str) -> bytes | None:
        """The file's bytes, or None."""
        row = self._transaction.find(tables.trust_files, name=name)
        return None if row is None else bytes(row["data"])

    def add(self, name: str, data: bytes) -> None:
        """Add a file that is new."""
        self._transaction.insert(tables.trust_files, name=name, data=data)

    def replace(self, name: str, data: bytes) -> None:
        """Write a file over the one of the same name."""
        row = self._transaction.find(tables.trust_files, name=name)
        if row is None:
            self.add(name, data)
        else:
            self._transaction.update(tables.trust_files, row, data=data)

    def remove(self, name: str) -> None:
        """Remove a file that is there."""
        # Its bytes are of no use to a deletion, and reading them would cost more than the rest of it.
        self._transaction.delete(tables.trust_files, {"name": name, "data": b""})


class PendingChanges:
    """Changes that need signatures, by id."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def get(self, change_id: str) -> PendingChange | None:
        """The change, or None."""
        row = self._transaction.find(tables.trust_changes, change_id=change_id)
        return None if row is None else PendingChange(**_values(row))

    def put(self, change: PendingChange) -> None:
        """Write a change over the one of the same id."""
        row = self._transaction.find(tables.trust_changes, change_id=change.change_id)
        if row is None:
            self._transaction.insert(tables.trust_changes, **asdict(change))
        else:
            self._transaction.update(tables.trust_changes, row, **asdict(change))

    def remove(self, change_id: str) -> None:
        """Forget a change."""
        row = self._transaction.find(tables.trust_changes, change_id=change_id)
        if row is not None:
            self._transaction.delete(tables.trust_changes, row)

    def all(self) -> Sequence[PendingChange]:
        """Every change, by id."""
        return [PendingChange(**_values(row)) for row in self._transaction.find_all(tables.trust_changes)]


class SpentTokens:
    """Tokens that were used, for as long as they would still count."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def spend(self, token_id: str, expires: int) -> bool:
        """Remember that a token was used; False if it was before."""
        if self._transaction.find(tables.trust_spent_tokens, token_id=token_id) is not None:
            return False
        self._transaction.insert(tables.trust_spent_tokens, token_id=token_id, expires=expires)
        return True

    def forget_expired(self, now: int, limit: int) -> None:
        """Forget at most so many that expired before ``now``."""
        table = tables.trust_spent_tokens
        for row in list(self._transaction.select(table, table.c.expires < now, limit=limit)):
            self._transaction.delete(table, row)


class TrustStore:
    """Everything the trust services keep."""

    def __init__(self, transaction: Transaction) -> None:
        self.roles = TrustRoles(transaction)
        self.keys = TrustKeys(transaction)
        self.files = TrustFiles(transaction)
        self.changes = PendingChanges(transaction)
        self.spent_tokens = SpentTokens(transaction)


def _values(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "digest"}


def _role(row: Row) -> TrustRole:
    return TrustRole(**{**_values(row), "keyids": tuple(json.loads(row["keyids"]))})
