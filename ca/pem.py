"""Strict PEM (RFC 7468): blocks of one label, white space between them, and nothing else.

Lenient readers skip what they do not understand, which lets one file mean different things to different programs.
"""

from __future__ import annotations

import binascii
import re
from functools import lru_cache

_LINE = re.compile(rb".{1,64}")


def parse_blocks(data: bytes, label: str) -> tuple[bytes, ...]:
    """Split PEM text into the DER of its blocks.

    Args:
        data: the text; the caller has bounded its size.
        label: the only label that is accepted, such as ``CERTIFICATE``.

    Returns:
        the decoded blocks in their order, at least one.

    Raises:
        ValueError: for anything else than such blocks with white space around them.
    """
    block = _block(label)
    blocks: list[bytes] = []
    position = 0
    while found := block.match(data, position):
        blocks.append(_decode(found[1]))
        position = found.end()
    if not blocks or data[position:].strip():
        raise ValueError(f"expected PEM blocks labelled {label} and nothing else")
    return tuple(blocks)


def write_block(der: bytes, label: str) -> bytes:
    """Write one block: lines of 64 characters, each ended by a single newline, as Go and OpenSSL write them."""
    name = label.encode()
    lines = b"\n".join(_LINE.findall(binascii.b2a_base64(der, newline=False)))
    return b"-----BEGIN %b-----\n%b\n-----END %b-----\n" % (name, lines, name)


@lru_cache(maxsize=16)
def _block(label: str) -> re.Pattern[bytes]:
    """What one block looks like."""
    return re.compile(rb"\s*-----BEGIN %b-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END %b-----" % ((label.encode(),) * 2))


def _decode(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text.translate(None, b"\r\n"), strict_mode=True)
    except binascii.Error as error:
        raise ValueError("expected base64 between the PEM lines") from error
