"""Fixed-width base 36, the way Go's ``big.Int.Text(36)`` with left padding writes numbers.

SwarmKit uses it for join tokens and for object ids. Lower case only: every number has exactly one text.
"""

from __future__ import annotations

import re

ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_TEXT = re.compile(r"[0-9a-z]+")


def encode(number: int, *, width: int) -> str:
    """Write a number in base 36, padded with zeros on the left.

    Args:
        number: not negative.
        width: the least number of characters.

    Returns:
        the text; longer than ``width`` where the number needs it.
    """
    digits: list[str] = []
    while number:
        number, digit = divmod(number, 36)
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits)).rjust(width, "0")


def decode(text: str, *, width: int, bits: int) -> int:
    """Read a number back.

    Args:
        text: exactly ``width`` characters of ``0-9a-z``.
        width: expected number of characters.
        bits: the number must be smaller than ``2**bits``.

    Raises:
        ValueError: for any other text; the text itself is not repeated, as it may be a secret.
    """
    if len(text) != width or _TEXT.fullmatch(text) is None:
        raise ValueError(f"expected {width} characters of 0-9a-z")
    number = int(text, 36)
    if number >> bits:
        raise ValueError(f"expected a number below 2^{bits}")
    return number
