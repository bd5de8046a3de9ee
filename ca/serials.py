"""Serial numbers of certificates (RFC 5280, section 4.1.2.2)."""

from __future__ import annotations

from typing import Final

from ca.errors import InvalidRequest

SERIAL_BYTES: Final = 20
_MIN_SERIAL_BITS, _MAX_SERIAL_BITS = 64, 159


def serial_from(random20: bytes) -> int:
    """Make a serial number: positive, always 20 octets, 158 random bits.

    Args:
        random20: 20 bytes from a cryptographic source; the top two bits are replaced by 01.

    Raises:
        InvalidRequest: when there are not exactly 20 bytes.
    """
    if len(random20) != SERIAL_BYTES:
        raise InvalidRequest(f"expected {SERIAL_BYTES} random bytes, got {len(random20)}")
    return int.from_bytes(random20, "big") & ((1 << 158) - 1) | 1 << 158


def verify_serial(serial: int) -> int:
    """Return a serial number that a certificate may have.

    Raises:
        InvalidRequest: it is not positive, or not of 64 to 159 bits.
    """
    if serial <= 0 or not _MIN_SERIAL_BITS <= serial.bit_length() <= _MAX_SERIAL_BITS:
        raise InvalidRequest(f"expected a positive serial of {_MIN_SERIAL_BITS} to {_MAX_SERIAL_BITS} bits")
    return serial
