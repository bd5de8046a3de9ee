"""Holding a log against what it signed: every checkpoint that this home keeps, and those that others kept.

A checkpoint of the present generation must have the log's signature and the root that the log has at its size. Those
of former generations speak of a log that was brought back from an older copy; only their signatures are looked at.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from swarmsec.audit.checkpoints import Checkpoint, open_checkpoint, verified_cosignatures, verify_checkpoint
from swarmsec.audit.errors import CheckpointInvalid, LogFormatInvalid
from swarmsec.audit.notes import SignedNote, VerifierKey, parse_note
from swarmsec.services.log.log_ports import LogTransaction
from swarmsec.services.log.sign_log import current_generation, log_key

_HINT = "keep a copy of this home as it is, then restore the newest backup with: swarmsec restore FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A verified checkpoint that the log must bear out."""

    checkpoint: Checkpoint
    note: SignedNote

    @property
    def size(self) -> int:
        """Of how many entries it speaks."""
        return self.checkpoint.size


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedCheckpoint:
    """A checkpoint that the log bears out."""

    checkpoint: Checkpoint
    note: SignedNote

    def witnesses(self, keys: Iterable[VerifierKey]) -> list[str]:
        """The names of those witnesses that cosigned it.

        Raises:
            CheckpointInvalid: a cosignature of theirs does not verify.
        """
        return sorted(found.key.name for found in verified_cosignatures(self.note, keys))


def collect_claims(transaction: LogTransaction, further: Iterable[bytes] = ()) -> list[Claim]:
    """Verify the signatures of every checkpoint and return those of the present generation, by size.

    Raises:
        CheckpointInvalid: one is not signed by its log.
    """
    keys = _keys_by_origin(transaction)
    present = log_key(transaction)
    claims: list[Claim] = []
    for row in transaction.checkpoints.all():
        claim = _verified(row.note, keys, f"the checkpoint of {row.size} entries in the store")
        if (claim.checkpoint.origin, claim.size) != (row.origin, row.size):
            raise CheckpointInvalid(
                f"expected a checkpoint of {row.size} entries in the store, got another", hint=_HINT
            )
        claims.append(claim)
    claims += [_verified(note, keys, "a checkpoint that was kept outside the store") for note in further if note]
    ours = [claim for claim in claims if present is not None and claim.checkpoint.origin == present.name]
    return sorted(ours, key=lambda claim: claim.size)


def verify_claim(claim: Claim, entries: int, root: bytes) -> CheckedCheckpoint:
    """Hold one checkpoint against the log.

    Args:
        claim: what was signed.
        entries, root: what the log has; as many entries as the checkpoint speaks of, or all there are.

    Raises:
        CheckpointInvalid: the log is shorter or another one.
    """
    if entries != claim.size:
        raise CheckpointInvalid(
            f"the log has {entries} entries, but it signed {claim.size}: entries were cut off its end", hint=_HINT
        )
    if not hmac.compare_digest(root, claim.checkpoint.root):
        raise CheckpointInvalid(
            f"the log's first {entries} entries are not those of the checkpoint that was signed:"
            " an entry before was rewritten, or the checkpoint is another history's",
            hint=_HINT,
        )
    return CheckedCheckpoint(checkpoint=claim.checkpoint, note=claim.note)


def verify_witnessed(
    checked: Sequence[CheckedCheckpoint], keys: Sequence[VerifierKey], count: int
) -> CheckedCheckpoint:
    """The newest checkpoint that enough witnesses cosigned.

    Args:
        checked: by size.
        keys: the witnesses that count.
        count: how many of them are wanted, at least 1.

    Raises:
        CheckpointInvalid: there is none.
    """
    most = 0
    for one in reversed(checked):
        found = len(one.witnesses(keys))
        if found >= count:
            return one
        most = max(most, found)
    raise CheckpointInvalid(
        f"expected a checkpoint that {count} of {len(keys)} known witnesses cosigned, got at most {most}",
        hint="ask the witnesses with: swarmsec audit witness ask"
        if keys
        else "name one with --witness, or count on one with: swarmsec audit witness add KEY --url URL",
    )


def _keys_by_origin(transaction: LogTransaction) -> dict[str, VerifierKey]:
    generations = range(1, current_generation(transaction) + 1)
    keys = (log_key(transaction, generation) for generation in generations)
    return {key.name: key for key in keys if key is not None}


def _verified(note: bytes, keys: dict[str, VerifierKey], what: str) -> Claim:
    try:
        parsed = parse_note(note)
        origin = parsed.text.partition("\n")[0]
        if origin not in keys:
            raise CheckpointInvalid(f"expected a checkpoint of this home's log, got one of {origin!r:.100}")
        return Claim(checkpoint=verify_checkpoint(parsed, keys[origin]), note=parsed)
    except (LogFormatInvalid, CheckpointInvalid) as error:
        raise CheckpointInvalid(f"{what}: {error}", hint=_HINT) from None


def open_claim(note: bytes, key: VerifierKey) -> Claim:
    """A checkpoint from outside, verified.

    Raises:
        LogFormatInvalid, CheckpointInvalid: as ``open_checkpoint``.
    """
    checkpoint, parsed = open_checkpoint(note, key)
    return Claim(checkpoint=checkpoint, note=parsed)
