"""What a witness is asked, and what it decides (C2SP ``tlog-witness``, ``add-checkpoint``).

A witness remembers one checkpoint of each log that it was told to watch, and cosigns a newer one only when a proof
shows that it continues the one it remembers. Remembering is others' work; it must be on disk before the cosignature is
answered, and must not have changed since the decision.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from typing import Final, Self

from swarmsec.audit.checkpoints import (
    Checkpoint,
    parse_hash,
    parse_size,
    parse_unverified_checkpoint,
    verify_checkpoint,
)
from swarmsec.audit.errors import CheckpointInvalid, LogFormatInvalid, ProofInvalid
from swarmsec.audit.merkle import EMPTY_ROOT
from swarmsec.audit.notes import MAX_NOTE_BYTES, SignedNote, VerifierKey, parse_note
from swarmsec.audit.proofs import MAX_HASHES, verify_consistency
from swarmsec.errors import Changed, NotFound

MAX_BYTES: Final = MAX_NOTE_BYTES + 64 * MAX_HASHES + 64


class OriginUnknown(NotFound):
    """The witness watches no log of this origin (404)."""


class SizeConflict(Changed):
    """The old size is not that of the checkpoint that the witness remembers (409).

    Args:
        known: the size that it remembers.
    """

    def __init__(self, known: int, old: int) -> None:
        super().__init__(
            f"expected a proof from the {known} entries that the witness has seen, got one from {old}",
            hint="the witness answers with the size that it knows; prove from there",
        )
        self.known = known


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCheckpoint:
    """A request: the size of the checkpoint before, the proof from there, and the new checkpoint."""

    old_size: int
    proof: tuple[bytes, ...]
    note: SignedNote

    def __bytes__(self) -> bytes:
        hashes = (base64.b64encode(value).decode("ascii") for value in self.proof)
        return "\n".join([f"old {self.old_size}", *hashes, "", ""]).encode() + bytes(self.note)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a request.

        Raises:
            LogFormatInvalid: it is none (400).
        """
        if len(data) > MAX_BYTES:
            raise LogFormatInvalid(f"expected a request of at most {MAX_BYTES} bytes, got more")
        head, separator, note = data.partition(b"\n\n")
        try:
            lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError:
            raise _none() from None
        if not separator or not lines[0].startswith("old ") or len(lines) - 1 > MAX_HASHES:
            raise _none()
        return cls(
            old_size=parse_size(lines[0].removeprefix("old ")),
            proof=tuple(map(parse_hash, lines[1:])),
            note=parse_note(note),
        )


def origin_of(request: AddCheckpoint) -> str:
    """The log that a request says it is about; nothing of it is verified.

    Raises:
        LogFormatInvalid: its note is no checkpoint.
    """
    return parse_unverified_checkpoint(request.note).origin


def verify_continuation(request: AddCheckpoint, log_key: VerifierKey, known: Checkpoint | None) -> Checkpoint:
    """Verify that a request continues what a witness knows of a log.

    Args:
        request: what was asked.
        log_key: of the log that the witness was told to watch.
        known: the checkpoint that it remembers; None before the first.

    Returns:
        the checkpoint to remember and to cosign.

    Raises:
        CheckpointInvalid: the log did not sign it (403).
        LogFormatInvalid: its old size is beyond it (400).
        SizeConflict: another size is remembered (409).
        ProofInvalid: it does not continue what is remembered (422).
    """
    checkpoint = verify_checkpoint(request.note, log_key)
    if request.old_size > checkpoint.size:
        raise LogFormatInvalid(f"expected an old size of at most {checkpoint.size}, got {request.old_size}")
    remembered = known or Checkpoint(origin=log_key.name, size=0, root=EMPTY_ROOT)
    if remembered.origin != checkpoint.origin:
        raise CheckpointInvalid(f"expected a checkpoint of {remembered.origin}, got one of {checkpoint.origin}")
    if request.old_size != remembered.size:
        raise SizeConflict(remembered.size, request.old_size)
    if checkpoint.size == 0 and not hmac.compare_digest(checkpoint.root, EMPTY_ROOT):
        raise ProofInvalid("expected the root of an empty log, got another")
    verify_consistency(remembered.size, remembered.root, checkpoint.size, checkpoint.root, request.proof)
    return checkpoint


def _none() -> LogFormatInvalid:
    return LogFormatInvalid("expected a line 'old SIZE', hashes, an empty line and a checkpoint")
