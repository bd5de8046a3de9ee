"""The witnesses of this home's log: which there are, what is asked of them, and keeping what they signed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice, takewhile
from typing import Final

from swarmsec.audit.actions import Action
from swarmsec.audit.checkpoints import open_checkpoint, verified_cosignatures
from swarmsec.audit.entry import ObjectRef
from swarmsec.audit.errors import CheckpointInvalid
from swarmsec.audit.notes import KeyKind, SignedNote, VerifierKey, parse_note
from swarmsec.audit.proofs import consistency_proof
from swarmsec.audit.witnessing import AddCheckpoint
from swarmsec.clock import unix_seconds
from swarmsec.errors import AlreadyExists, NotFound, UsageProblem
from swarmsec.services.log.log_ports import LogTransaction
from swarmsec.services.log.log_records import CheckpointRow, WitnessRow
from swarmsec.services.log.prove_entries import present_key
from swarmsec.services.log.sign_log import KEPT_FROM_EACH, log_key
from swarmsec.services.requester import Requester

_LOOKED_AT: Final = 1000
"""A witness that cosigned none of so many newest checkpoints, of which one an hour is kept, counts as one that cosigned
nothing."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """A witness with an address, and how many entries of the newest checkpoint it has not cosigned."""

    row: WitnessRow
    entries: int


def witness_lags(transaction: LogTransaction) -> list[Lag]:
    """How far each witness that has an address is behind; none while the log is not signed yet."""
    rows = [row for row in transaction.witnesses.all() if row.url]
    key = log_key(transaction)
    newest = transaction.checkpoints.newest(key.name) if key else None
    if not rows or newest is None:
        return []
    found: dict[str, int] = {}
    for checkpoint in islice(transaction.checkpoints.newest_first(newest.origin), _LOOKED_AT):
        note = parse_note(checkpoint.note)
        for name in (row.name for row in rows if row.name not in found and _is_signed_by(note, row)):
            found[name] = checkpoint.size
        if len(found) == len(rows):
            break
    return [Lag(row=row, entries=newest.size - found.get(row.name, 0)) for row in rows]


def _is_signed_by(note: SignedNote, row: WitnessRow) -> bool:
    # What is kept was verified when it was accepted.
    key = VerifierKey.parse(row.key)
    return any(line.is_of(key) for line in note.signatures)


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
        kept_row = CheckpointRow(origin=origin, size=size, note=bytes(extended), created=created)
        transaction.checkpoints.put(kept_row)
        _drop_outdone(transaction, kept_row)
    return sorted(one.key.name for one in new)


def _drop_outdone(transaction: LogTransaction, new: CheckpointRow) -> None:
    """Of what the same witnesses cosigned within an hour, the last is enough."""
    signers = _signers(new)
    hour = new.created // KEPT_FROM_EACH
    newest_first = transaction.checkpoints.newest_first(new.origin)
    for row in list(takewhile(lambda row: row.created // KEPT_FROM_EACH >= hour, newest_first)):
        if row.size < new.size and _signers(row) <= signers:
            transaction.checkpoints.remove(row)


def _signers(row: CheckpointRow) -> set[tuple[str, bytes]]:
    return {(line.name, line.key_id) for line in parse_note(row.note).signatures}
