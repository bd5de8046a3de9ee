"""Values drawn by chance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from swarmsec.secretbytes import SecretBytes
from swarmsec.secretstore.versions import verify_value

ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
DEFAULT_LENGTH: Final = 40
"""Characters of a generated value: 238 bits."""
_FAIR: Final = 256 - 256 % len(ALPHABET)


def generate_value(length: int, random: Callable[[int], bytes]) -> SecretBytes:
    """Draw a value of letters and digits, every character equally likely.

    Args:
        length: its characters.
        random: gives so many bytes of chance.

    Raises:
        SecretInvalid: no characters or too many.
    """
    verify_value(length)
    drawn = bytearray()
    while len(drawn) < length:
        # Bytes beyond the last whole multiple of the alphabet would favour its beginning.
        drawn += bytes(ALPHABET[byte % len(ALPHABET)] for byte in random(length) if byte < _FAIR)
    return SecretBytes(drawn[:length])
