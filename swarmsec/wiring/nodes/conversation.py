"""Several requests to one server over one connection: half of what a request costs it is a mutual handshake.

The server was verified when the connection was opened. Roots that are learned over it verify the next one; one that is
no longer trusted ends it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final

from swarmsec.wiring.nodes.authorityclient import KeyPair, build_pool

if TYPE_CHECKING:
    from urllib3 import PoolManager

MOST_SECONDS: Final = 3600.0
"""Then the server is verified anew."""
_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"


class Conversation:
    """Keeps a connection for as long as the same certificate is shown; entered, it is closed at the end.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool: PoolManager | None = None
        self._shown: bytes | None = None
        self._verified: frozenset[bytes] = frozenset()
        self._clock = clock
        self._until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether a connection may be there already."""
        return self._pool is not None

    def pool(self, roots: bytes, pair: KeyPair | None) -> PoolManager:
        """Where the next request is made.

        Args:
            roots: the server is verified under these, PEM, where a connection is opened.
            pair: shown to the server, if given.
        """
        shown = None if pair is None else pair.certificate.tbs_certificate_bytes
        trusted = frozenset(roots.split(_BEGIN))
        is_same = shown == self._shown and self._verified <= trusted and self._clock() < self._until
        if self._pool is None or not is_same:
            self.close()
            self._pool, self._shown, self._verified = build_pool(roots, pair), shown, trusted
            self._until = self._clock() + MOST_SECONDS
        return self._pool

    def close(self) -> None:
        """End the connection; the next request opens another."""
        if self._pool is not None:
            self._pool.clear()
            self._pool = None

    def __enter__(self) -> Conversation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
