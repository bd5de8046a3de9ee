"""Checkpoints: what a log says of itself, signed by it and cosigned by those who watch it.

The text is that of C2SP ``tlog-checkpoint``: origin, size and root hash, a line each; extension lines are refused, for
no part of this program would look at them. The log signs the text itself (``signed-note``, kind 01); a witness signs
it with the time below a line of its own (``tlog-cosignature``, kind 04).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from swarmsec.audit.errors import CheckpointInvalid, LogFormatInvalid
from swarmsec.audit.notes import (
    KeyKind,
    NoteSignature,
    NoteSigner,
    SignedNote,
    VerifierKey,
    decode_base64,
    parse_note,
    verify_name,
)
from swarmsec.audit.proofs import MAX_SIZE

HASH_BYTES: Final = 32
ED25519_BYTES: Final = 64
TIME_BYTES: Final = 8
MAX_TIME: Final = 2**63 - 1
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The head of a log: how many entries it has, and the Merkle tree hash over them."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The note text."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode('ascii')}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosignature:
    """A verified cosignature: who, and when in Unix seconds."""

    key: VerifierKey
    time: int
    line: NoteSignature


def parse_size(text: str) -> int:
    """Read a tree size.

    Raises:
        LogFormatInvalid: it is none, or larger than any tree.
    """
    if not _SIZE.fullmatch(text) or int(text) > MAX_SIZE:
        raise LogFormatInvalid(f"expected a tree size, got {text!r:.40}")
    return int(text)


def parse_hash(text: str) -> bytes:
    """Read a hash in base64.

    Raises:
        LogFormatInvalid: it is none.
    """
    decoded = decode_base64(text)
    if len(decoded) != HASH_BYTES:
        raise LogFormatInvalid(f"expected a hash of {HASH_BYTES} bytes, got {len(decoded)}")
    return decoded


def parse_checkpoint_text(text: str) -> Checkpoint:
    """Read the text of a checkpoint, without its signatures.

    Raises:
        LogFormatInvalid: it is none.
    """
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise LogFormatInvalid("expected origin, size and root hash in a checkpoint, a line each")
    return Checkpoint(origin=verify_name(lines[0]), size=parse_size(lines[1]), root=parse_hash(lines[2]))


def parse_unverified_checkpoint(note: SignedNote) -> Checkpoint:
    """What a note says that nobody has verified: to find the key that it needs, and for nothing else.

    Raises:
        LogFormatInvalid: its text is no checkpoint.
    """
    return parse_checkpoint_text(note.text)


def sign_checkpoint(checkpoint: Checkpoint, signer: NoteSigner) -> SignedNote:
    """Sign a checkpoint as its log."""
    line = NoteSignature(
        name=signer.key.name, key_id=signer.key.key_id, signature=signer.sign(checkpoint.text.encode())
    )
    return SignedNote(text=checkpoint.text, signatures=(line,))


def open_checkpoint(data: bytes, log_key: VerifierKey) -> tuple[Checkpoint, SignedNote]:
    """Read a checkpoint and verify that its log signed it.

    Raises:
        LogFormatInvalid: it is none.
        CheckpointInvalid: it is another log's, or not signed by this key.
    """
    note = parse_note(data)
    return verify_checkpoint(note, log_key), note


def verify_checkpoint(note: SignedNote, log_key: VerifierKey) -> Checkpoint:
    """Verify that a log signed a note, and return what it says.

    Raises:
        LogFormatInvalid: it says no checkpoint.
        CheckpointInvalid: it is another log's, or not signed by this key.
    """
    checkpoint = parse_checkpoint_text(note.text)
    if log_key.kind is not KeyKind.LOG:
        raise CheckpointInvalid(f"expected the key of a log, got one of a cosigner: {log_key.name}")
    if checkpoint.origin != log_key.name:
        raise CheckpointInvalid(f"expected a checkpoint of {log_key.name}, got one of {checkpoint.origin!r:.100}")
    lines = list(note.signatures_of(log_key))
    if not lines:
        raise CheckpointInvalid(f"the checkpoint of {checkpoint.size} entries is not signed by its log {log_key}")
    for line in lines:
        log_key.verify(note.text.encode(), line.signature)
    return checkpoint


def cosign_checkpoint(checkpoint: Checkpoint, signer: NoteSigner, *, time: int) -> NoteSignature:
    """Cosign a checkpoint as a witness that found it consistent with all it has seen.

    Args:
        time: Unix seconds, at least 1.
    """
    signature = time.to_bytes(TIME_BYTES, "big") + signer.sign(_cosigned(checkpoint.text, time))
    return NoteSignature(name=signer.key.name, key_id=signer.key.key_id, signature=signature)


def verified_cosignatures(note: SignedNote, witnesses: Iterable[VerifierKey]) -> list[Cosignature]:
    """The cosignatures of known witnesses, each public key counting once however many names it goes by.

    Raises:
        CheckpointInvalid: one of theirs does not verify.
    """
    found: dict[bytes, Cosignature] = {}
    for key in witnesses:
        for line in note.signatures_of(key):
            cosignature = verify_cosignature(note.text, line, key)
            known = found.get(key.public_key)
            if known is None or known.time < cosignature.time:
                found[key.public_key] = cosignature
    return list(found.values())


def verify_cosignature(text: str, line: NoteSignature, key: VerifierKey) -> Cosignature:
    """Verify one cosignature of a checkpoint's text.

    Raises:
        CheckpointInvalid: it is not this key's.
    """
    if key.kind is not KeyKind.COSIGNER or not line.is_of(key):
        raise CheckpointInvalid(f"expected a cosignature of {key.name}, got one of {line.name!r:.80}")
    time = int.from_bytes(line.signature[:TIME_BYTES], "big")
    if len(line.signature) != TIME_BYTES + ED25519_BYTES or not 0 < time <= MAX_TIME:
        raise CheckpointInvalid(f"expected a time and a signature from {key.name}, got something else")
    key.verify(_cosigned(text, time), line.signature[TIME_BYTES:])
    return Cosignature(key=key, time=time, line=line)


def _cosigned(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()
