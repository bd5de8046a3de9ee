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
from collections import OrderedDict, deque
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
        self._free = max_running
        self._line: deque[asyncio.Future[None]] = deque()
        self._max_waiting = max_waiting
        self._max_wait = max_wait
        self._jitter = jitter

    def take_free(self) -> bool:
        """Take a place, which is to be given back, and say so; False where none is free."""
        if self._free <= 0:
            return False
        self._free -= 1
        return True

    def give_back(self) -> None:
        """Let go of a place that was taken: whoever has waited longest has it, so none is free while somebody waits."""
        while self._line:
            place = self._line.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._free += 1

    async def wait(self) -> None:
        """Wait for a place, which is to be given back, where none was free.

        Raises:
            Overloaded: as many wait already as may, or no place came free in time.
        """
        if len(self._line) >= self._max_waiting:
            raise self._overloaded()
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(place)
        try:
            async with asyncio.timeout(self._max_wait):
                await place
        except TimeoutError:
            self._leave(place)
            raise self._overloaded() from None
        except asyncio.CancelledError:
            self._leave(place)
            raise

    def _leave(self, place: asyncio.Future[None]) -> None:
        """Wait no more; a place that was given in the same moment goes to the next."""
        if place in self._line:
            self._line.remove(place)
        elif not place.cancelled():
            self.give_back()

    def _overloaded(self) -> Overloaded:
        return Overloaded("the server is busy", retry_after=1 + self._jitter(3))
