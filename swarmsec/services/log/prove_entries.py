"""Proving an entry, and that one state of the log continues another; and checking such proofs with nothing but keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from swarmsec.audit.checkpoints import Checkpoint, verified_cosignatures, verify_checkpoint
from swarmsec.audit.entry import leaf_hash
from swarmsec.audit.errors import CheckpointInvalid, ProofInvalid
from swarmsec.audit.notes import VerifierKey, parse_note
from swarmsec.audit.proofs import consistency_proof, inclusion_proof, root_of, verify_consistency, verify_inclusion
from swarmsec.audit.tlogproof import LogProof
from swarmsec.errors import NotFound, UsageProblem
from swarmsec.services.log.log_ports import LogTransaction
from swarmsec.services.log.log_records import CheckpointRow
from swarmsec.services.log.sign_log import log_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """What a proof shows."""

    index: int
    entry: bytes
    checkpoint: Checkpoint
    witnesses: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Continued:
    """Two states of one log, of which the newer continues the older."""

    old: Checkpoint
    new: Checkpoint
    hashes: tuple[bytes, ...]


def present_key(transaction: LogTransaction) -> VerifierKey:
    """The public key of the log.

    Raises:
        NotFound: no process that has the keys has written yet.
    """
    key = log_key(transaction)
    if key is None:
        raise NotFound("the log has no key yet", hint="it is made by the next command that opens the keys and writes")
    return key


def best_checkpoint(transaction: LogTransaction, size: int) -> CheckpointRow:
    """The checkpoint to prove with: of those that cover ``size`` entries the newest with cosignatures, else the newest.

    Raises:
        NotFound: no signed checkpoint covers so many entries.
    """
    origin = present_key(transaction).name
    newest = None
    for row in transaction.checkpoints.newest_first(origin, at_least=size):
        newest = newest or row
        if _is_cosigned(row):
            return row
    if newest is None:
        raise NotFound(
            f"no signed checkpoint covers {size} entries yet",
            hint="one is made when a command that opens the keys ends, and every second by: swarmsec serve",
        )
    return newest


def _is_cosigned(row: CheckpointRow) -> bool:
    return len(parse_note(row.note).signatures) > 1


def prove_entry(transaction: LogTransaction, seq: int) -> LogProof:
    """Prove that the log has an entry; what is handed out was verified.

    Raises:
        NotFound: there is no such entry, or no checkpoint that covers it.
        ProofInvalid: the store contradicts its own checkpoint.
    """
    if seq >= transaction.tree.size():
        raise NotFound(f"no log entry {seq}: there are {transaction.tree.size()}")
    row = best_checkpoint(transaction, seq + 1)
    note = parse_note(row.note)
    checkpoint = verify_checkpoint(note, present_key(transaction))
    tree = transaction.tree.at(checkpoint.size)
    hashes = tuple(inclusion_proof(seq, checkpoint.size, tree.nodes()))
    stored = transaction.log_entries.get(seq)
    if stored is None:
        raise NotFound(f"no log entry {seq}")
    leaf = leaf_hash(stored.data) if stored.data else stored.leaf_hash
    verify_inclusion(leaf, seq, checkpoint.size, hashes, checkpoint.root)
    return LogProof(index=seq, hashes=hashes, checkpoint=note, extra=stored.data or None)


def check_proof(
    proof: LogProof, key: VerifierKey, *, witnesses: Sequence[VerifierKey] = (), entry: bytes | None = None
) -> Proven:
    """Check a proof file.

    Args:
        proof: parsed, nothing of it believed.
        key: of the log, from elsewhere.
        witnesses: whose cosignatures count.
        entry: the entry's bytes; those in the file without it.

    Raises:
        UsageProblem: the file does not carry the entry, and none was given.
        CheckpointInvalid: its checkpoint is forged.
        ProofInvalid: the entry is not in the log.
    """
    data = proof.extra if entry is None else entry
    if data is None:
        raise UsageProblem(
            "the proof does not carry its entry, whose content was pruned",
            hint="give the entry's bytes with --entry FILE",
        )
    checkpoint = verify_checkpoint(proof.checkpoint, key)
    verify_inclusion(leaf_hash(data), proof.index, checkpoint.size, proof.hashes, checkpoint.root)
    cosigned = verified_cosignatures(proof.checkpoint, witnesses)
    names = tuple(sorted(found.key.name for found in cosigned))
    return Proven(index=proof.index, entry=data, checkpoint=checkpoint, witnesses=names)


def prove_continuation(transaction: LogTransaction, old: Checkpoint | int, new: Checkpoint | int) -> Continued:
    """Prove that the log of a newer state continues that of an older one.

    Args:
        old, new: a verified checkpoint that somebody kept, or a number of entries of this log.

    Raises:
        UsageProblem: the older state is the larger one.
        ProofInvalid: a kept checkpoint is not of this history.
        NotFound: the log is not that long.
    """
    first, second = (_state(transaction, wanted) for wanted in (old, new))
    if first.size > second.size:
        raise UsageProblem(f"expected OLD to have at most {second.size} entries, got {first.size}")
    nodes = transaction.tree.at(second.size).nodes()
    hashes = tuple(consistency_proof(first.size, second.size, nodes))
    verify_consistency(first.size, first.root, second.size, second.root, hashes)
    return Continued(old=first, new=second, hashes=hashes)


def _state(transaction: LogTransaction, wanted: Checkpoint | int) -> Checkpoint:
    size = wanted if isinstance(wanted, int) else wanted.size
    present = transaction.tree.size()
    if size > present:
        if isinstance(wanted, Checkpoint):
            raise CheckpointInvalid(
                f"the log has {present} entries, but it signed {size}: entries were cut off its end"
            )
        raise NotFound(f"the log has {present} entries, not {size}")
    root = root_of(size, transaction.tree.at(size).nodes())
    if isinstance(wanted, Checkpoint):
        if wanted.root != root:
            raise ProofInvalid(f"the log's first {size} entries are not those of the checkpoint: the log was rewritten")
        return wanted
    return Checkpoint(origin=present_key(transaction).name, size=size, root=root)
