"""Errors of key custody.

Unavailable
└── KeysLocked       the root key is not at hand
Denied
└── WrongUnlock      a passphrase, key file or recovery key that does not fit
"""

from __future__ import annotations

from swarmsec.errors import Denied, Unavailable


class KeysLocked(Unavailable):
    """The root key is not at hand."""


class WrongUnlock(Denied):
    """What was given does not open the seal."""
