"""Request ids: UUID version 7 (RFC 9562, 5.7), made here and never taken from a caller."""

from __future__ import annotations

from collections.abc import Callable

RANDOM_BYTES = 10
_DRAWN_TOGETHER = 64


class RandomParts:
    """The random parts of ids, drawn many at a time.

    They tell requests apart and protect nothing. To ask the operating system for each gives other threads their turn
    at the interpreter, and to get it back costs more than the bytes.

    Args:
        draw: so many random bytes.
    """

    def __init__(self, draw: Callable[[int], bytes]) -> None:
        self._draw = draw
        self._drawn = b""

    def take(self) -> bytes:
        """The next 10 bytes, which are never given again."""
        if not self._drawn:
            self._drawn = self._draw(RANDOM_BYTES * _DRAWN_TOGETHER)
        taken, self._drawn = self._drawn[:RANDOM_BYTES], self._drawn[RANDOM_BYTES:]
        return taken


def build_request_id(milliseconds: int, random: bytes) -> str:
    """Build an id that sorts by time.

    Args:
        milliseconds: Unix time in milliseconds.
        random: exactly 10 random bytes.

    Raises:
        ValueError: ``random`` has another length.
    """
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"expected {RANDOM_BYTES} random bytes, got {len(random)}")
    when, digits = f"{milliseconds & (2**48 - 1):012x}", random.hex()
    variant = "89ab"[random[2] >> 4 & 3]
    return f"{when[:8]}-{when[8:]}-7{digits[1:4]}-{variant}{digits[5:8]}-{digits[8:]}"
