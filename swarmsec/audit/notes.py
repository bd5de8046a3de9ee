"""Signed notes and the keys that verify them (C2SP ``signed-note``), Ed25519 alone.

A note is a text with signatures below it. Signatures of keys that nobody named are passed over, as the specification
wants; one of a named key that does not verify makes the whole note worthless.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from swarmsec.audit.errors import CheckpointInvalid, LogFormatInvalid

MAX_NOTE_BYTES: Final = 65_536
MAX_SIGNATURES: Final = 64
MAX_NAME: Final = 255
MAX_SIGNATURE_BYTES: Final = 8192
KEY_ID_BYTES: Final = 4
PUBLIC_KEY_BYTES: Final = 32
_DASH: Final = "\u2014 "
_CONTROL: Final = re.compile("[\x00-\x09\x0b-\x1f]")
_VKEY: Final = re.compile(r"([^+\s]{1,255})\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{1,8192})")


class KeyKind(IntEnum):
    """What a key's signatures say (the identifier byte of its algorithm)."""

    LOG = 0x01
    """An Ed25519 signature over the note's text."""
    COSIGNER = 0x04
    """A timestamped Ed25519 cosignature of a checkpoint (C2SP ``tlog-cosignature``)."""


class NoteSigner(Protocol):
    """A private key that signs notes."""

    @property
    def key(self) -> VerifierKey: ...
    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of an Ed25519 signature (RFC 8032)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """A public key with its name and kind, written ``NAME+ID+BASE64``."""

    name: str
    kind: KeyKind
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """The four bytes that signatures name the key by, beside its name."""
        text = self.name.encode() + b"\n" + bytes([self.kind]) + self.public_key
        return hashlib.sha256(text).digest()[:KEY_ID_BYTES]

    def __str__(self) -> str:
        material = base64.b64encode(bytes([self.kind]) + self.public_key).decode("ascii")
        return f"{self.name}+{self.key_id.hex()}+{material}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a verifier key.

        Raises:
            LogFormatInvalid: it is none, is of an algorithm that is not known here, or its id is not its own.
        """
        found = _VKEY.fullmatch(text)
        if found is None:
            raise LogFormatInvalid(f"expected a verifier key NAME+ID+BASE64, got {text!r:.80}")
        material = decode_base64(found[3])
        if len(material) != 1 + PUBLIC_KEY_BYTES or material[0] not in set(KeyKind):
            raise LogFormatInvalid("expected an Ed25519 verifier key of a log (01) or a cosigner (04)")
        key = cls(name=verify_name(found[1]), kind=KeyKind(material[0]), public_key=material[1:])
        if key.key_id.hex() != found[2]:
            raise LogFormatInvalid(f"expected the verifier key of {found[1]!r:.80} to have the id {key.key_id.hex()}")
        return key

    def verify(self, message: bytes, signature: bytes) -> None:
        """Verify an Ed25519 signature.

        Raises:
            CheckpointInvalid: it is not this key's, or not of this message.
        """
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message)
        except (InvalidSignature, ValueError):
            raise CheckpointInvalid(f"the signature of {self.name} does not verify") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSignature:
    """One signature line."""

    name: str
    key_id: bytes
    signature: bytes

    def is_of(self, key: VerifierKey) -> bool:
        """Whether it says that a key made it."""
        return self.name == key.name and self.key_id == key.key_id

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {base64.b64encode(self.key_id + self.signature).decode('ascii')}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedNote:
    """A note: its text, which ends with a newline, and its signatures."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def __bytes__(self) -> bytes:
        return f"{self.text}\n{''.join(map(str, self.signatures))}".encode()

    def signatures_of(self, key: VerifierKey) -> Iterable[NoteSignature]:
        """The signatures that say they are a key's."""
        return (signature for signature in self.signatures if signature.is_of(key))


def verify_name(name: str) -> str:
    """Return a key's name, if it is one.

    Raises:
        LogFormatInvalid: it is empty, too long, or has a space, plus or character that cannot be printed.
    """
    if not 0 < len(name) <= MAX_NAME or "+" in name or " " in name or not name.isprintable():
        raise LogFormatInvalid(f"expected a name without spaces and plus signs, got {name!r:.80}")
    return name


def parse_note(data: bytes) -> SignedNote:
    """Read a signed note; what it says is believed only after a signature was verified.

    Raises:
        LogFormatInvalid: it is none.
    """
    if len(data) > MAX_NOTE_BYTES:
        raise LogFormatInvalid(f"expected a note of at most {MAX_NOTE_BYTES} bytes, got more")
    try:
        whole = data.decode()
    except UnicodeDecodeError:
        raise LogFormatInvalid("expected a note in UTF-8") from None
    if _CONTROL.search(whole):
        raise LogFormatInvalid("expected a note without control characters")
    text, separator, below = whole.rpartition("\n\n")
    if not text or not separator or not below.endswith("\n"):
        raise LogFormatInvalid("expected a text, an empty line and signatures in a note")
    return SignedNote(text=f"{text}\n", signatures=parse_signatures(below))


def parse_signatures(text: str) -> tuple[NoteSignature, ...]:
    """Read signature lines, each ended by a newline.

    Raises:
        LogFormatInvalid: there is none, there are too many, or one of them is something else.
    """
    lines = text.split("\n")
    if lines.pop() or not 0 < len(lines) <= MAX_SIGNATURES:
        raise LogFormatInvalid(f"expected 1 to {MAX_SIGNATURES} signature lines")
    return tuple(map(_parse_signature, lines))


def _parse_signature(line: str) -> NoteSignature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space:
        raise LogFormatInvalid(f"expected a signature line, got {line!r:.80}")
    decoded = decode_base64(encoded)
    if not KEY_ID_BYTES < len(decoded) <= MAX_SIGNATURE_BYTES:
        raise LogFormatInvalid(f"expected a key id and a signature, got {len(decoded)} bytes")
    return NoteSignature(name=verify_name(name), key_id=decoded[:KEY_ID_BYTES], signature=decoded[KEY_ID_BYTES:])


def decode_base64(text: str) -> bytes:
    """Decode base64 of RFC 4648 section 4; one text for one value.

    Raises:
        LogFormatInvalid: it is something else.
    """
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise LogFormatInvalid("expected base64") from None
    if base64.b64encode(decoded).decode("ascii") != text:
        raise LogFormatInvalid("expected base64 without spare bits")
    return decoded
