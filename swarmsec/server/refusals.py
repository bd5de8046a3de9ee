"""Refusals on their way to the durable log, with a flood kept from drowning it.

Every refusal is counted. Within a minute the first ``each`` refusals of one (route, address, reason), and the first
``in_all`` altogether, are entries of their own, durable before they are answered. What comes beyond is counted in
memory and becomes one entry per (route, address, reason), with its count, when the minute ends or the server stops.
IPv6 addresses count as their /64. Beyond ``max_keys`` addresses the rest share an entry named ``other addresses``.

What this gives up: a crash loses the counts, not the fact, of at most one minute of a flood. While the log cannot be
written, every refusal fails, also one that would only have been counted.
"""

from __future__ import annotations

from collections import Counter

from swarmsec.server.addresses import site_of
from swarmsec.server.ports import Refusal, RefusalLog

WINDOW_SECONDS = 60.0
OTHER_ADDRESSES = "other addresses"

_Key = tuple[str, str, str]


class RefusalRecorder:
    """Records refusals one by one until there are too many alike.

    Args:
        log: the durable log.
        each: single entries per window of one (route, address, reason).
        in_all: single entries per window altogether.
        max_keys: distinct (route, address, reason) told apart per window.
    """

    def __init__(self, log: RefusalLog, *, each: int, in_all: int, max_keys: int) -> None:
        self._log = log
        self._each = each
        self._in_all = in_all
        self._max_keys = max_keys
        self._seen: Counter[_Key] = Counter()
        self._single = 0
        self._pending: Counter[_Key] = Counter()
        self._is_behind = False

    async def record(self, refusal: Refusal) -> None:
        """Make a refusal durable, or count it among many alike.

        Raises:
            Exception: whatever the log raises where it cannot be written; the refusal must then not be answered
                as one.
        """
        if self._is_behind:
            await self.flush()
        key = self._key(refusal)
        self._seen[key] += 1
        if self._seen[key] > self._each or self._single >= self._in_all:
            self._pending[key] += 1
            return
        self._single += 1
        await self._log.record(refusal)

    async def end_window(self) -> None:
        """Begin a new window; called every ``WINDOW_SECONDS``.

        Raises:
            Exception: as ``record``; the counts are kept.
        """
        self._seen.clear()
        self._single = 0
        await self.flush()

    async def flush(self) -> None:
        """Write what was only counted.

        Raises:
            Exception: as ``record``; the counts are kept.
        """
        while self._pending:
            key, count = self._pending.popitem()
            route, address, reason = key
            try:
                await self._log.record(Refusal(route=route, address=address, reason=reason, count=count))
            except BaseException:
                self._pending[key] += count
                self._is_behind = True
                raise
        self._is_behind = False

    def _key(self, refusal: Refusal) -> _Key:
        key = (refusal.route, site_of(refusal.address), refusal.reason)
        if key in self._seen or len(self._seen) < self._max_keys:
            return key
        return (refusal.route, OTHER_ADDRESSES, refusal.reason)
