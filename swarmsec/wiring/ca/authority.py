"""The authority kept open in memory, and what the settings say about certificates."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from swarmsec.config import Config
from swarmsec.keys.signers import SealedKeys
from swarmsec.services.ca.authority import Authority, load_authority
from swarmsec.services.ports import Transaction
from swarmsec.services.rotation.rotation_roots import current_epoch

_KEPT: Final = 4


class AuthorityCache:
    """Opens the authority anew when its epoch changes.

    Args:
        keys: for its private keys.
        lifetime: of leaf certificates.
    """

    def __init__(self, keys: SealedKeys, lifetime: timedelta) -> None:
        self._keys = keys
        self._lifetime = lifetime
        self._opened: dict[str, Authority] = {}

    def at(self, transaction: Transaction) -> Authority:
        """The authority as a transaction sees it.

        Raises:
            NotFound: the home has none.
        """
        epoch = current_epoch(transaction)
        found = self._opened.get(epoch)
        if found is None:
            found = load_authority(transaction, self._keys, self._lifetime)
            # A transaction may be undone, and its epoch then never comes again: what is kept here is never wrong.
            self._opened = {**dict(list(self._opened.items())[1 - _KEPT :]), epoch: found}
        return found


def lifetime_of(config: Config) -> timedelta:
    """How long certificates live that somebody has to renew: those of programs and people."""
    return timedelta(hours=config.ca.certificate_hours)


def served_lifetime_of(config: Config) -> timedelta:
    """How long certificates live that a server issues and that renew by themselves: nodes', and its own."""
    return timedelta(minutes=config.ca.certificate_minutes) or lifetime_of(config)
