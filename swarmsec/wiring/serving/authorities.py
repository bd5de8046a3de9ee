"""The authority as a server uses it: kept open in memory, and another one as soon as roots change.

A transaction asks for the authority as it is in that transaction, which costs it one row. So nothing is issued under a
root that another process has just replaced, however late the server learns of it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from swarmsec.keys.signers import SealedKeys
from swarmsec.services.authority import Authority, load_authority
from swarmsec.services.ports import Transaction
from swarmsec.services.rotation_roots import current_epoch
from swarmsec.storage.store import Store

_KEPT: Final = 4


class Authorities:
    """Opens the authority anew when its epoch changes.

    Args:
        store: where it is kept.
        keys: for its private keys.
        lifetime: of leaf certificates.
    """

    def __init__(self, store: Store, keys: SealedKeys, lifetime: timedelta) -> None:
        self._store = store
        self._keys = keys
        self._lifetime = lifetime
        self._opened: dict[str, Authority] = {}
        self.current = self.read()

    def at(self, transaction: Transaction) -> Authority:
        """The authority as a transaction sees it."""
        epoch = current_epoch(transaction)
        found = self._opened.get(epoch)
        if found is None:
            found = load_authority(transaction, self._keys, self._lifetime)
            # A transaction may be undone, and its epoch then never comes again: what is kept here is never wrong.
            self._opened = {**dict(list(self._opened.items())[1 - _KEPT :]), epoch: found}
        return found

    def read(self) -> Authority:
        """The authority as the store has it now."""
        return self._store.read(self.at)

    def adopt(self, authority: Authority) -> None:
        """Use this one where no transaction is at hand."""
        self.current = authority
