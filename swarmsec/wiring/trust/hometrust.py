"""The trust repository of a home on this machine: its metadata, its policies, and its root where it may vouch for it.

A home whose root is signed by keys of its own pins itself: whoever holds the home decides anyhow. One whose root keys
lie elsewhere is like any server, and the machine needs a pin.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from notary.roles import ROOT, file_name
from policies.documents import Document
from swarmsec.errors import SwarmsecError
from swarmsec.keys.signers import SealedKeys
from swarmsec.services.access.apply_policy import active_documents
from swarmsec.services.ports import Transaction
from swarmsec.services.requester import Requester
from swarmsec.services.trust.refresh_trust import is_refresh_due, refresh_if_due
from swarmsec.services.trust.trust_ports import PublishedMetadata
from swarmsec.services.trust.trust_state import is_embedded, quorum_of
from swarmsec.wiring.homes.home import Home
from swarmsec.wiring.trust.publishing import published_metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeTrust:
    """What a home brings to a verification.

    Attributes:
        metadata: what it publishes.
        documents: the policies in force.
        root: its first root, None where the home alone may not vouch for it.
    """

    metadata: PublishedMetadata
    documents: Sequence[Document]
    root: bytes | None

    def fetch(self, name: str, limit: int) -> bytes | None:
        """The ``MetadataSource`` port."""
        return self.metadata.get(name)


def open_home_trust(
    home: Home, *, unlock: Callable[[], SealedKeys], requester: Requester, warn: Callable[[str], None]
) -> HomeTrust | None:
    """Bring a home's repository up to date, and give it; None where the home signs no images.

    Args:
        home: open.
        unlock: opens its keys, which are needed only where something is due.
        requester: who asks.
        warn: told where something is due and cannot be signed.
    """
    root = home.store.read(_own_root)
    if root is None:
        return None
    refresh_home(home, unlock=unlock, requester=requester, warn=warn)
    data, is_own = root
    return HomeTrust(
        metadata=published_metadata(home),
        documents=home.store.read(active_documents),
        root=data if is_own else None,
    )


def refresh_home(
    home: Home, *, unlock: Callable[[], SealedKeys], requester: Requester, warn: Callable[[str], None]
) -> None:
    """Sign again what is due in a home's repository, if it has one; arguments as ``open_home_trust``."""
    if not home.store.read(is_refresh_due):
        return
    try:
        keys = unlock()
        home.store.write(lambda transaction: refresh_if_due(transaction, keys, requester))
    except SwarmsecError as error:
        # What is there still counts until it expires, which every verification looks at.
        warn(f"the metadata could not be signed again: {error}")


def _own_root(transaction: Transaction) -> tuple[bytes, bool] | None:
    role = transaction.trust.roles.get(ROOT)
    data = transaction.trust.files.get(file_name(ROOT, 1))
    if role is None or role.version == 0 or data is None:
        return None
    return data, is_embedded(transaction, quorum_of(transaction, ROOT))
