"""The log's key, and its checkpoints.

A log must never sign two heads of which one does not continue the other. A home that was brought back from an older
copy, and accepted, has forgotten heads that it signed; so its log goes on under a new name with a new key, the next
*generation*, and what the former one signed stays true of the former one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from swarmsec.audit.actions import Action
from swarmsec.audit.checkpoints import Checkpoint, sign_checkpoint
from swarmsec.audit.entry import ObjectRef
from swarmsec.audit.errors import CheckpointInvalid
from swarmsec.audit.notes import KeyKind, VerifierKey, parse_note
from swarmsec.audit.proofs import root_of
from swarmsec.audit.signing import SEED_BYTES, SeedSigner
from swarmsec.clock import unix_seconds
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.log.log_ports import LogTransaction
from swarmsec.services.log.log_records import CheckpointRow
from swarmsec.services.ports import Keys, Transaction
from swarmsec.services.requester import Requester

GENERATION: Final = "audit_generation"
ORIGIN: Final = "swarmsec.dev/log"
KEPT_FROM_EACH: Final = 3600
"""Of the checkpoints that nobody cosigned, the last of each hour is kept, and the newest; of those that the same
witnesses cosigned, the last of each hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedHead:
    """A checkpoint of the whole log as it is now."""

    size: int
    note: bytes


def current_generation(transaction: Transaction) -> int:
    """Which of this home's logs is being written, from 1."""
    return int(transaction.settings.get(GENERATION) or 1)


def begin_generation(transaction: Transaction) -> None:
    """Let the log go on under a new name and key; the caller logs the entry, and the key is made at the next chance."""
    if log_key(transaction) is not None:
        transaction.settings.put(GENERATION, str(current_generation(transaction) + 1))


def log_key(transaction: Transaction, generation: int | None = None) -> VerifierKey | None:
    """The public key of the log, or of a former generation; None before one was made."""
    number = current_generation(transaction) if generation is None else generation
    text = transaction.settings.get(_setting(number))
    return None if text is None else VerifierKey.parse(text)


def create_log_key(transaction: Transaction, keys: Keys, requester: Requester) -> SeedSigner:
    """Make the key of the present generation and put it on record."""
    generation = current_generation(transaction)
    seed = SecretBytes(transaction.clock.random(SEED_BYTES))
    origin = f"{ORIGIN}/{transaction.settings.get('store_id')}/{generation}"
    signer = SeedSigner(origin, KeyKind.LOG, seed)
    keys.put(transaction, _record(generation), seed)
    transaction.settings.put(_setting(generation), str(signer.key))
    target = ObjectRef(type="log", id=origin, version=generation)
    transaction.log(requester.event(Action.AUDIT_KEY_CREATE, target, fields={"key": str(signer.key)}))
    return signer


def open_log_key(transaction: Transaction, keys: Keys) -> SeedSigner | None:
    """The private key of the present generation; None before one was made.

    Raises:
        CheckpointInvalid: the sealed key is not that of the public one.
    """
    public = log_key(transaction)
    if public is None:
        return None
    seed = keys.get(transaction, _record(current_generation(transaction)))
    try:
        signer = SeedSigner(public.name, KeyKind.LOG, seed)
    finally:
        seed.wipe()
    if signer.key != public:
        raise CheckpointInvalid("the log's sealed key is not the one that was put on record")
    return signer


def sign_head(transaction: LogTransaction, signer: SeedSigner, *, fresh: bool = False) -> SignedHead:
    """Sign the log as it is now, and keep the checkpoint.

    Args:
        fresh: the kept tiles may be another history's and are made anew.
    """
    size = transaction.tree.size()
    origin = signer.key.name
    newest = transaction.checkpoints.newest(origin)
    if newest is not None and newest.size >= size:
        return SignedHead(size=newest.size, note=newest.note)
    tree = transaction.tree.at(size)
    if fresh:
        tree.forget()
    tree.extend()
    checkpoint = Checkpoint(origin=origin, size=size, root=root_of(size, tree.nodes()))
    note = bytes(sign_checkpoint(checkpoint, signer))
    row = CheckpointRow(origin=origin, size=size, note=note, created=unix_seconds(transaction.clock))
    if newest is not None and _may_go(newest, row):
        transaction.checkpoints.remove(newest)
    transaction.checkpoints.put(row)
    return SignedHead(size=size, note=note)


def _may_go(former: CheckpointRow, new: CheckpointRow) -> bool:
    is_same_hour = former.created // KEPT_FROM_EACH == new.created // KEPT_FROM_EACH
    return is_same_hour and len(parse_note(former.note).signatures) == 1


def _setting(generation: int) -> str:
    return f"audit_log_key_{generation}"


def _record(generation: int) -> str:
    return f"audit/log-key/{generation}"
