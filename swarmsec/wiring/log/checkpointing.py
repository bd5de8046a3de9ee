"""Signing the log as it grows: whenever the rollback anchor moves, it takes a signed checkpoint along.

That is at most once a second while entries come, and at the end of a process. A process that cannot open the keys (a
home with a passphrase, and nobody to ask) still moves the anchor; the next one that can signs what was added meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable

from swarmsec.keys.signers import SealedKeys
from swarmsec.services.log.sign_log import SignedHead, create_log_key, open_log_key, sign_head
from swarmsec.services.requester import SERVICE
from swarmsec.storage.anchor import AnchorFile
from swarmsec.storage.log import LogAppender, LogHead
from swarmsec.storage.store import Store
from swarmsec.storage.transaction import Transaction


class SigningAnchor:
    """Implements the store's ``Anchor``.

    Args:
        store: whose log.
        file: the anchor itself.
        open_keys: the keys if they can be had without asking anybody, else None.
    """

    def __init__(self, store: Store, file: AnchorFile, open_keys: Callable[[], SealedKeys | None]) -> None:
        self._store = store
        self._file = file
        self._open_keys = open_keys

    def advance(self, head: LogHead) -> None:
        """Sign the log and move the anchor.

        Raises:
            Unavailable: store or anchor cannot be written.
            IntegrityFailure: the log's key does not open.
        """
        keys = self._open_keys()
        if keys is None:
            self._file.advance(head)
            return
        newest, signed = sign_log(self._store, keys)
        self._file.advance(newest, signed.note)


def sign_log(store: Store, keys: SealedKeys) -> tuple[LogHead, SignedHead]:
    """Sign the whole log as it is now; where it has no key yet, one is made and that is logged.

    Returns:
        the head that is signed, and its checkpoint.
    """
    with store.exclusive() as connection:
        appender = LogAppender(connection, store.stamps)
        transaction = Transaction(connection, appender, store.clock)
        signer = open_log_key(transaction, keys)
        is_new = signer is None
        if signer is None:
            signer = create_log_key(transaction, keys, SERVICE)
            appender.flush()
        signed = sign_head(transaction, signer, fresh=is_new)
        transaction.verify_logged()
        appender.flush()
        return appender.head, signed
