"""The authority as a server uses it: kept open in memory, and another one as soon as roots change.

A transaction asks for the authority as it is in that transaction, which costs it one row. So nothing is issued under a
root that another process has just replaced, however late the server learns of it.
"""

from __future__ import annotations

from datetime import timedelta

from swarmsec.keys.signers import SealedKeys
from swarmsec.services.ca.authority import Authority
from swarmsec.services.ports import Transaction
from swarmsec.storage.store import Store
from swarmsec.wiring.ca.authority import AuthorityCache


class Authorities:
    """Opens the authority anew when its epoch changes.

    Args:
        store: where it is kept.
        keys: for its private keys.
        lifetime: of leaf certificates.
    """

    def __init__(self, store: Store, keys: SealedKeys, lifetime: timedelta) -> None:
        self._store = store
        self._cache = AuthorityCache(keys, lifetime)
        self.current = self.read()

    def at(self, transaction: Transaction) -> Authority:
        """The authority as a transaction sees it."""
        return self._cache.at(transaction)

    def read(self) -> Authority:
        """The authority as the store has it now."""
        return self._store.read(self.at)

    def adopt(self, authority: Authority) -> None:
        """Use this one where no transaction is at hand."""
        self.current = authority
