"""Back-pressure: how many attempts may fail, and how many requests may be at work.

``AttemptLimiter`` holds one token bucket per key. Only failures take a token, so whoever succeeds is never limited,
and requests that were answered with "too many attempts" take none, so waiting helps. Memory is bounded: a full
bucket is forgotten, and beyond ``max_keys`` the bucket that was used longest ago is.

NOTE: requests in flight together are all let in before the first of them fails. Their failures are charged in full,
down to a debt of one more burst, so a parallel volley pays with a longer wait. It is bounded by ``Admission``.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b

from swarmsec.errors import TooManyAttempts
from swarmsec.server.errors import Overloaded

Clock = Callable[[], float]


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class AttemptLimiter:
    """Limits failed attempts by key.

    Args:
        burst: failures that may follow each other at once.
        per_minute: failures that are forgiven per minute.
        max_keys: buckets kept in memory.
        clock: monotonic seconds.
    """

    def __init__(self, *, burst: int, per_minute: float, max_keys: int, clock: Clock) -> None:
        self._burst = float(burst)
        self._per_second = per_minute / 60
        self._max_keys = max_keys
        self._clock = clock
        self._buckets: OrderedDict[bytes, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def verify_allowed(self, keys: Iterable[str]) -> None:
        """Let an attempt pass.

        Raises:
            TooManyAttempts: one of the keys has no failure left; carries the seconds until it has.
        """
        if not self._buckets:
            return
        wait = max((self._wait(_digest(key)) for key in keys), default=0.0)
        if wait > 0:
            raise TooManyAttempts("too many failed attempts", retry_after=max(1, math.ceil(wait)))

    def count_failure(self, keys: Iterable[str]) -> None:
        """Charge one failure to every key."""
        for key in set(keys):
            digest = _digest(key)
            bucket = self._refilled(digest) or _Bucket(self._burst, self._clock())
            bucket.tokens = max(bucket.tokens - 1, -self._burst)
            self._buckets[digest] = bucket
            self._buckets.move_to_end(digest)
        while len(self._buckets) > self._max_keys:
            self._buckets.popitem(last=False)

    def _wait(self, digest: bytes) -> float:
        bucket = self._refilled(digest)
        if bucket is None or bucket.tokens >= 1:
            return 0.0
        return (1 - bucket.tokens) / self._per_second

    def _refilled(self, digest: bytes) -> _Bucket | None:
        bucket = self._buckets.get(digest)
        if bucket is None:
            return None
        now = self._clock()
        bucket.tokens += (now - bucket.at) * self._per_second
        bucket.at = now
        if bucket.tokens >= self._burst:
            del self._buckets[digest]
            return None
        return bucket


def _digest(key: str) -> bytes:
    """Keys come from callers; a digest bounds what one of them costs in memory."""
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class Admission:
    """Bounds how many handlers work at the same time and how many requests wait for it.

    Args:
        max_running: handlers at work.
        max_waiting: requests that wait.
        max_wait: seconds that one waits.
        jitter: draws from 0 to below its argument; spreads out when refused callers come back.
    """

    def __init__(self, *, max_running: int, max_waiting: int, max_wait: float, jitter: Callable[[int], int]) -> None:
        self._places = asyncio.Semaphore(max_running)
        self._max_waiting = max_waiting
        self._max_wait = max_wait
        self._jitter = jitter
        self._waiting = 0

    def give_back(self) -> None:
        """Let go of a place that was taken."""
        self._places.release()

    async def take(self) -> None:
        """Take a place, which is to be given back; no context manager, since that takes several times as long.

        Raises:
            Overloaded: as many wait already as may, or no place came free in time.
        """
        if not self._places.locked():
            await self._places.acquire()
            return
        if self._waiting >= self._max_waiting:
            raise self._overloaded()
        self._waiting += 1
        try:
            async with asyncio.timeout(self._max_wait):
                await self._places.acquire()
        except TimeoutError:
            raise self._overloaded() from None
        finally:
            self._waiting -= 1

    def _overloaded(self) -> Overloaded:
        return Overloaded("the server is busy", retry_after=1 + self._jitter(3))
