"""The sealed record, version 1: one data key per record, wrapped under a term of the key ring.

Layout, all integers big-endian:

    wrapped key = version u8 | suite u8 | term u32 | nonce 12 | AES-256-GCM(data key) 48 | commitment 32
    body        = version u8 | suite u8 | nonce 12 | AES-256-GCM(plaintext) n + 16

Suite 1 is AES-256-GCM with HKDF-SHA-256 (RFC 5869). The wrapping key is derived per record from the term's key. The
associated data of both parts frames every field with its length and names format, store, record, version and
creation time; the wrapped key's names the term as well, so that moving a record to a new term rewrites the wrapped
key alone. AES-GCM does not commit to its key, hence the commitment: it is compared before anything is opened.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from swarmsec.secretbytes import SecretBytes
from swarmsec.secretstore.errors import RecordUnreadable

VERSION: Final = 1
SUITE_AES_256_GCM: Final = 1
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
COMMITMENT_BYTES: Final = 32
MAX_PLAINTEXT: Final = 1 << 20
"""Largest record, in bytes; a Docker secret is under 512,000."""

_HEAD: Final = struct.Struct(">BBI")
_BODY_HEAD: Final = struct.Struct(">BB")
_LENGTH: Final = struct.Struct(">I")
_NUMBERS: Final = struct.Struct(">QQ")
_FORMAT: Final = _BODY_HEAD.pack(VERSION, SUITE_AES_256_GCM)
_SHA256: Final = SHA256()
_WRAPPED_BYTES: Final = _HEAD.size + NONCE_BYTES + KEY_BYTES + TAG_BYTES + COMMITMENT_BYTES

Random = Callable[[int], bytes]
"""A source of randomness: the number of bytes in, that many bytes out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordContext:
    """What a record is; it opens only under exactly the context it was sealed under."""

    store_id: str
    name: str
    version: int
    created: int
    """Unix time in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TermKey:
    """A key of the key ring with its number."""

    term: int
    key: SecretBytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedRecord:
    """The two parts that storage keeps."""

    wrapped_key: bytes
    body: bytes


def frame(*fields: bytes) -> bytes:
    """Join fields so that no two different lists give the same bytes: each is preceded by its u32 length."""
    parts: list[bytes] = []
    for field in fields:
        parts += (_LENGTH.pack(len(field)), field)
    return b"".join(parts)


def seal(key: TermKey, context: RecordContext, plaintext: bytes, random: Random) -> SealedRecord:
    """Seal a record under a fresh data key.

    Args:
        key: the active term.
        context: what the record is.
        plaintext: at most ``MAX_PLAINTEXT`` bytes.
        random: a cryptographic source.

    Raises:
        ValueError: the plaintext is too large.
    """
    if len(plaintext) > MAX_PLAINTEXT:
        raise ValueError(f"expected at most {MAX_PLAINTEXT} bytes, got {len(plaintext)}")
    data_key = random(KEY_BYTES)
    nonce = random(NONCE_BYTES)
    framed = _body_data(context)
    body = _FORMAT + nonce + AESGCM(data_key).encrypt(nonce, plaintext, framed)
    return SealedRecord(wrapped_key=_wrap(key, framed, data_key, random), body=body)


def open_record(key: TermKey, context: RecordContext, record: SealedRecord) -> SecretBytes:
    """Open a record.

    Raises:
        RecordUnreadable: wrong key or context, altered bytes, or an unknown version or suite.
    """
    framed = _body_data(context)
    data_key = _unwrap(key, framed, record.wrapped_key)
    head_end = _BODY_HEAD.size + NONCE_BYTES
    if len(record.body) < head_end + TAG_BYTES:
        raise RecordUnreadable("a sealed record does not open: it is too short")
    _check_format(*_BODY_HEAD.unpack_from(record.body))
    nonce = record.body[_BODY_HEAD.size : head_end]
    try:
        plaintext = AESGCM(data_key).decrypt(nonce, record.body[head_end:], framed)
    except InvalidTag:
        raise RecordUnreadable("a sealed record does not open") from None
    return SecretBytes(plaintext)


def rewrap(old: TermKey, new: TermKey, context: RecordContext, wrapped_key: bytes, random: Random) -> bytes:
    """Move a record's data key from one term to another; the body stays as it is.

    Raises:
        RecordUnreadable: the wrapped key does not open under ``old``.
    """
    framed = _body_data(context)
    return _wrap(new, framed, _unwrap(old, framed, wrapped_key), random)


def term_of(wrapped_key: bytes) -> int:
    """The term that a wrapped key needs.

    Raises:
        RecordUnreadable: not a wrapped key of a known format.
    """
    if len(wrapped_key) != _WRAPPED_BYTES:
        raise RecordUnreadable(f"expected a wrapped key of {_WRAPPED_BYTES} bytes, got {len(wrapped_key)}")
    version, suite, term = _HEAD.unpack_from(wrapped_key)
    _check_format(version, suite)
    return int(term)


def _check_format(version: int, suite: int) -> None:
    if version != VERSION or suite != SUITE_AES_256_GCM:
        raise RecordUnreadable(
            f"expected record version {VERSION} and suite {SUITE_AES_256_GCM}, got {version}, {suite}"
        )


def _wrap(key: TermKey, framed: bytes, data_key: bytes, random: Random) -> bytes:
    """Wrap a record's data key; ``framed`` is what the body's associated data is."""
    nonce, wrap_data = random(NONCE_BYTES), _wrap_data(framed, key.term)
    sealed = AESGCM(_wrapping_key(key, wrap_data)).encrypt(nonce, data_key, wrap_data)
    head = _HEAD.pack(VERSION, SUITE_AES_256_GCM, key.term)
    return head + nonce + sealed + _commitment(data_key, framed)


def _unwrap(key: TermKey, framed: bytes, wrapped_key: bytes) -> bytes:
    if term_of(wrapped_key) != key.term:
        raise RecordUnreadable(f"expected a record of key term {key.term}, got {term_of(wrapped_key)}")
    nonce_end, wrap_data = _HEAD.size + NONCE_BYTES, _wrap_data(framed, key.term)
    nonce, sealed = wrapped_key[_HEAD.size : nonce_end], wrapped_key[nonce_end:-COMMITMENT_BYTES]
    try:
        data_key = AESGCM(_wrapping_key(key, wrap_data)).decrypt(nonce, sealed, wrap_data)
    except InvalidTag:
        raise RecordUnreadable("a sealed record does not open") from None
    if not hmac.compare_digest(_commitment(data_key, framed), wrapped_key[-COMMITMENT_BYTES:]):
        raise RecordUnreadable("a sealed record does not open")
    return data_key


def _wrapping_key(key: TermKey, wrap_data: bytes) -> bytes:
    return _derive(key.key.reveal(), b"swarmsec/wrap/v1", wrap_data)


def _commitment(data_key: bytes, framed: bytes) -> bytes:
    return _derive(data_key, b"swarmsec/commit/v1", framed)


def _derive(key: bytes, purpose: bytes, context: bytes) -> bytes:
    return HKDFExpand(algorithm=_SHA256, length=KEY_BYTES, info=frame(purpose, context)).derive(key)


def _body_data(context: RecordContext) -> bytes:
    return frame(
        _FORMAT,
        context.store_id.encode(),
        context.name.encode(),
        _NUMBERS.pack(context.version, context.created),
    )


def _wrap_data(framed: bytes, term: int) -> bytes:
    return frame(b"term", _LENGTH.pack(term), framed)
