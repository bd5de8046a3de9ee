"""Request ids: UUID version 7 (RFC 9562, 5.7), made here and never taken from a caller."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

RANDOM_BYTES = 10
_DRAWN_TOGETHER = 64


class RequestIds:
    """Makes ids, the random parts of many at a time.

    They tell requests apart and protect nothing. To ask the operating system for each gives other threads their turn
    at the interpreter, and to get it back costs more than the bytes.

    Args:
        draw: so many random bytes.
    """

    def __init__(self, draw: Callable[[int], bytes]) -> None:
        self._draw = draw
        self._parts: list[str] = []

    def make(self, milliseconds: int) -> str:
        """An id that sorts by time, with a random part that is never given again.

        Args:
            milliseconds: Unix time in milliseconds.
        """
        if not self._parts:
            drawn = self._draw(RANDOM_BYTES * _DRAWN_TOGETHER)
            starts = range(0, len(drawn), RANDOM_BYTES)
            self._parts = [_random_part(drawn[start : start + RANDOM_BYTES]) for start in starts]
        return _time_part(milliseconds) + self._parts.pop()


def build_request_id(milliseconds: int, random: bytes) -> str:
    """Build an id that sorts by time.

    Args:
        milliseconds: Unix time in milliseconds.
        random: exactly 10 random bytes.

    Raises:
        ValueError: ``random`` has another length.
    """
    return _time_part(milliseconds) + _random_part(random)


@lru_cache(maxsize=2)
def _time_part(milliseconds: int) -> str:
    when = f"{milliseconds & (2**48 - 1):012x}"
    return f"{when[:8]}-{when[8:]}-"


def _random_part(random: bytes) -> str:
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"expected {RANDOM_BYTES} random bytes, got {len(random)}")
    digits = random.hex()
    variant = "89ab"[random[2] >> 4 & 3]
    return f"7{digits[1:4]}-{variant}{digits[5:8]}-{digits[8:]}"
