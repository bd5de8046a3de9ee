"""The witnesses of this home's log: which there are, what is asked of them, and keeping what they signed."""

from __future__ import annotations

from dataclasses import replace

from swarmsec.audit.actions import Action
from swarmsec.audit.checkpoints import open_checkpoint, verified_cosignatures
from swarmsec.audit.entry import ObjectRef
from swarmsec.audit.errors import CheckpointInvalid
from swarmsec.audit.notes import KeyKind, VerifierKey, parse_note
from swarmsec.audit.proofs import consistency_proof
from swarmsec.audit.witnessing import AddCheckpoint
from swarmsec.clock import unix_seconds
from swarmsec.errors import AlreadyExists, NotFound, UsageProblem
from swarmsec.services.log_ports import LogTransaction
from swarmsec.services.log_records import CheckpointRow, WitnessRow
from swarmsec.services.prove_entries import present_key
from swarmsec.services.requester import Requester


def add_witness(transaction: LogTransaction, requester: Requester, key: VerifierKey, url: str) -> WitnessRow:
    """Count on a witness from now on.

    Raises:
        UsageProblem: the key is a log's.
        AlreadyExists: there is one of this name.
    """
    if key.kind is not KeyKind.COSIGNER:
        raise UsageProblem(f"expected the key of a witness, got one of a log: {key.name}")
    if any(row.name == key.name for row in transaction.witnesses.all()):
        raise AlreadyExists(f"there is a witness {key.name} already")
    row = WitnessRow(name=key.name, key=str(key), url=url, added=unix_seconds(transaction.clock))
    transaction.witnesses.add(row)
    target = ObjectRef(type="witness", id=key.name)
    transaction.log(requester.event(Action.AUDIT_WITNESS_ADD, target, fields={"key": row.key, "url": url}))
    return row


def remove_witness(transaction: LogTransaction, requester: Requester, name: str) -> None:
    """Count on a witness no longer.

    Raises:
        NotFound: there is none of this name.
    """
    for row in transaction.witnesses.all():
        if row.name == name:
            transaction.witnesses.remove(row)
            transaction.log(requester.event(Action.AUDIT_WITNESS_REMOVE, ObjectRef(type="witness", id=name)))
            return
    raise NotFound(f"no witness {name!r:.80}")


def witness_keys(transaction: LogTransaction) -> list[VerifierKey]:
    """The keys of every witness of this home."""
    return [VerifierKey.parse(row.key) for row in transaction.witnesses.all()]


def witnessed_sizes(transaction: LogTransaction) -> list[tuple[WitnessRow, int]]:
    """Every witness with the number of entries that it has cosigned; 0 for none."""
    found: dict[str, int] = {}
    keys = witness_keys(transaction)
    for row in transaction.checkpoints.all():
        for one in verified_cosignatures(parse_note(row.note), keys):
            found[one.key.name] = max(row.size, found.get(one.key.name, 0))
    return [(row, found.get(row.name, 0)) for row in transaction.witnesses.all()]


def newest_checkpoint(transaction: LogTransaction) -> CheckpointRow:
    """The newest checkpoint of the log.

    Raises:
        NotFound: there is none yet.
    """
    row = transaction.checkpoints.newest(present_key(transaction).name)
    if row is None:
        raise NotFound("no signed checkpoint exists yet")
    return row


def request_for(transaction: LogTransaction, row: CheckpointRow, old_size: int) -> AddCheckpoint:
    """What a witness that knows ``old_size`` entries is asked; the log's own signature alone is sent."""
    note = parse_note(row.note)
    key = present_key(transaction)
    nodes = transaction.tree.at(row.size).nodes()
    proof = tuple(consistency_proof(min(old_size, row.size), row.size, nodes))
    bare = replace(note, signatures=tuple(note.signatures_of(key)))
    return AddCheckpoint(old_size=old_size, proof=proof, note=bare)


def accept_cosigned(transaction: LogTransaction, data: bytes) -> list[str]:
    """Keep what witnesses signed of a checkpoint of ours.

    Args:
        data: the checkpoint with the log's signature and theirs; those of strangers are passed over.

    Returns:
        the names of the witnesses whose cosignature is new.

    Raises:
        LogFormatInvalid: it is no checkpoint.
        CheckpointInvalid: this log did not sign it, or no known witness did.
    """
    key, known = present_key(transaction), witness_keys(transaction)
    checkpoint, note = open_checkpoint(data, key)
    found = verified_cosignatures(note, known)
    if not found:
        raise CheckpointInvalid("expected a cosignature of a known witness, got none")
    row = transaction.checkpoints.get(key.name, checkpoint.size)
    # The row may have made room for a newer checkpoint of the same hour while the witness was asked.
    kept = replace(note, signatures=tuple(note.signatures_of(key))) if row is None else parse_note(row.note)
    if kept.text != note.text:
        raise CheckpointInvalid(
            f"expected the checkpoint of {checkpoint.size} entries that this home signed, got another"
        )
    new = [one for one in found if all(not line.is_of(one.key) for line in kept.signatures)]
    if new:
        extended = replace(kept, signatures=(*kept.signatures, *(one.line for one in new)))
        created = unix_seconds(transaction.clock) if row is None else row.created
        origin, size = key.name, checkpoint.size
        transaction.checkpoints.put(CheckpointRow(origin=origin, size=size, note=bytes(extended), created=created))
    return sorted(one.key.name for one in new)
