"""The little of DER (ITU-T X.690) that a certificate needs: a writer, and a reader for what the writer wrote.

Certificates are assembled from prebuilt pieces, which takes a tenth of the time of building objects; the private key
then only has to sign bytes, wherever it lives. What comes from outside is parsed by ``cryptography``, but for the one
form of signing request that ``ca.plain_requests`` compares with the whole of what it may be.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

BIT_STRING, SEQUENCE = 0x03, 0x30
_INTEGER, _OCTET_STRING, _OID, _UTF8, _SET = 0x02, 0x04, 0x06, 0x0C, 0x31
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
NULL = b"\x05\x00"
TRUE = b"\x01\x01\xff"


def tlv(tag: int, content: bytes) -> bytes:
    """One element: tag, definite length in its shortest form, content.

    Args:
        tag: identifier octet, tag number below 31.
        content: the content octets.
    """
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def sequence(*parts: bytes) -> bytes:
    """SEQUENCE of already encoded elements; empty parts are absent ones."""
    return tlv(SEQUENCE, b"".join(parts))


def set_of_one(element: bytes) -> bytes:
    """SET OF with one element, so that no order has to be made."""
    return tlv(_SET, element)


def integer(number: int) -> bytes:
    """INTEGER, not negative."""
    return tlv(_INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def octet_string(content: bytes) -> bytes:
    """OCTET STRING."""
    return tlv(_OCTET_STRING, content)


def bit_string(content: bytes) -> bytes:
    """BIT STRING of whole octets."""
    return tlv(BIT_STRING, b"\x00" + content)


def utf8(text: str) -> bytes:
    """UTF8String."""
    return tlv(_UTF8, text.encode())


def explicit(number: int, content: bytes) -> bytes:
    """A constructed element with a context-specific tag."""
    return tlv(0xA0 | number, content)


def implicit(number: int, content: bytes) -> bytes:
    """A primitive element with a context-specific tag."""
    return tlv(0x80 | number, content)


VERSION_3 = explicit(0, integer(2))
"""The version field of a certificate with extensions."""


@lru_cache(maxsize=64)
def oid(dotted: str) -> bytes:
    """OBJECT IDENTIFIER from its dotted form, such as ``2.5.29.15``."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    return tlv(_OID, b"".join(_arc(arc) for arc in (40 * first + second, *rest)))


def time(moment: datetime) -> bytes:
    """Time as RFC 5280, section 4.1.2.5, asks for it: UTCTime through 2049, GeneralizedTime from 2050 on.

    Args:
        moment: in UTC, whole seconds, from 1950 on.
    """
    # NOTE: strftime does not pad years below 1000 on every system; four digits come from isoformat.
    digits = moment.replace(tzinfo=None).isoformat(timespec="seconds").translate(_NO_SEPARATORS)
    if moment.year < 2050:
        return tlv(_UTC_TIME, f"{digits[2:]}Z".encode())
    return tlv(_GENERALIZED_TIME, f"{digits}Z".encode())


def children(element: bytes) -> tuple[bytes, ...]:
    """Split a constructed element into the elements inside it, each with its tag and length.

    Args:
        element: exactly one element.

    Raises:
        ValueError: when lengths do not add up, or a tag or length has a form that DER certificates do not use.
    """
    position, end = _content(element, 0)
    if end != len(element):
        raise ValueError("expected one element and nothing after it")
    parts: list[bytes] = []
    while position < end:
        # Most elements are short; to read those without a call halves the time of the whole.
        if end - position >= 2 and element[position] & 0x1F != 0x1F and (length := element[position + 1]) < 0x80:
            next_position = position + 2 + length
        else:
            _, next_position = _content(element, position)
        parts.append(element[position:next_position])
        position = next_position
    if position != end:
        raise ValueError("expected elements that end with the one around them")
    return tuple(parts)


def content(element: bytes) -> bytes:
    """The content octets of exactly one element.

    Raises:
        ValueError: as ``children``.
    """
    start, end = _content(element, 0)
    if end != len(element):
        raise ValueError("expected one element and nothing after it")
    return element[start:end]


_NO_SEPARATORS = str.maketrans("", "", "-:T")


def _arc(arc: int) -> bytes:
    octets = [arc & 0x7F]
    while arc := arc >> 7:
        octets.append(0x80 | arc & 0x7F)
    return bytes(reversed(octets))


def _content(data: bytes, position: int) -> tuple[int, int]:
    """Start and end of the content of the element at a position."""
    start = position + 2
    if start > len(data) or data[position] & 0x1F == 0x1F:
        raise ValueError("expected an element with a low tag number")
    length = data[position + 1]
    if length >= 0x80:
        count = length & 0x7F
        octets = data[start : start + count]
        start, length = start + count, int.from_bytes(octets, "big")
        if not 1 <= count <= 4 or len(octets) != count or octets[0] == 0 or length < 0x80:
            raise ValueError("expected a definite length in its shortest form")
    if start + length > len(data):
        raise ValueError("expected an element that ends inside the data")
    return start, start + length
