"""The published repository as its home has it, for clients on the same machine and for the server."""

from __future__ import annotations

from notary.roles import POLICY_PATH
from swarmsec.services.trust.signed_policy import signed_policy_file
from swarmsec.storage.store import Store
from swarmsec.wiring.homes.home import Home


class StoredMetadata:
    """Answers the ``PublishedMetadata`` port from a store.

    Args:
        store: of the home.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, name: str) -> bytes | None:
        """A published file by its name, the signed trust policy by its path too; None where there is none."""
        with self._store.reading() as transaction:
            known = signed_policy_file(transaction) if name == POLICY_PATH else name
            return None if known is None else transaction.trust.files.get(known)


def published_metadata(home: Home) -> StoredMetadata:
    """The repository of an open home."""
    return StoredMetadata(home.store)
