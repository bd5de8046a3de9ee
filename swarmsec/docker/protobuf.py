"""Protocol Buffers' wire format, read strictly: what is truncated, overlong or of an old kind is refused.

Only what SwarmKit's messages need (protobuf.dev, "Encoding"): varints, fixed-width numbers and bytes with their length.
Nothing is known of a message here but its fields' numbers; who reads one picks those that it knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZES: Final = {_FIXED64: 8, _FIXED32: 4}
_MAX_VARINT: Final = 10
_MAX_TAG: Final = (1 << 32) - 1
_MAX_NUMBER: Final = (1 << 64) - 1
Value = int | memoryview


class MalformedMessage(ValueError):
    """Bytes that are no message."""


def parse_fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """Take one message apart, without looking into those within it.

    Args:
        message: the whole of it.

    Returns:
        number and value of each field in its order: a number, or a part of ``message``.

    Raises:
        MalformedMessage: it is not one, seen when the reading gets there.
    """
    offset, end = 0, len(message)
    while offset < end:
        tag, offset = _varint(message, offset)
        number, kind = tag >> 3, tag & 7
        if not number or tag > _MAX_TAG:
            raise MalformedMessage("expected the number of a field")
        if kind == _VARINT:
            found, offset = _varint(message, offset)
            yield number, found
            continue
        if kind == _LENGTH:
            size, offset = _varint(message, offset)
        elif kind in _FIXED_SIZES:
            size = _FIXED_SIZES[kind]
        else:
            raise MalformedMessage(f"expected a field of a kind that is in use, got {kind}")
        if size > end - offset:
            raise MalformedMessage("expected more bytes than there are")
        part = message[offset : offset + size]
        yield number, part if kind == _LENGTH else int.from_bytes(part, "little")
        offset += size


def bytes_at(message: memoryview, number: int) -> memoryview:
    """The bytes of one field; the last where it is repeated, as the format has it, and none where it is absent.

    Raises:
        MalformedMessage: it is no message, or the field is a number.
    """
    found = memoryview(b"")
    for present, value in parse_fields(message):
        if present == number:
            if isinstance(value, int):
                raise MalformedMessage(f"expected bytes in field {number}")
            found = value
    return found


def _varint(message: memoryview, offset: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(message[offset : offset + _MAX_VARINT]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            if value > _MAX_NUMBER:
                break
            return value, offset + index + 1
    raise MalformedMessage("expected a number of at most 64 bits")
