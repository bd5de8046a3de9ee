"""Both sides of a cosignature: a witness that fetches a log, and a home that asks its witnesses."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, TypeVar

from swarmsec.audit.checkpoints import Checkpoint
from swarmsec.audit.errors import CheckpointInvalid, HistoryContradicted
from swarmsec.audit.notes import parse_note
from swarmsec.audit.proofs import consistency_proof
from swarmsec.audit.witnessing import AddCheckpoint, SizeConflict, origin_of
from swarmsec.clock import Clock
from swarmsec.errors import NotFound
from swarmsec.services.log.log_records import WitnessRow
from swarmsec.services.log.log_source import LogSource, tree_of
from swarmsec.services.log.witness_log import accept_cosigned, newest_checkpoint, request_for
from swarmsec.storage.store import Store, Unit
from swarmsec.wiring.homes.home import Home
from swarmsec.wiring.log.witnessclient import WitnessClient
from swarmsec.wiring.log.witnessdir import Witness, hash_of

T = TypeVar("T")
MAX_ROUNDS: Final = 3
"""How often a witness may name another size to prove from; it moves only while somebody else asks it as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    """A checkpoint with the log's signature and the witness's."""

    origin: str
    size: int
    note: bytes


def cosign_source(witness: Witness, source: LogSource, clock: Clock) -> Cosigned:
    """Cosign the newest checkpoint of a log that can be read.

    Raises:
        OriginUnknown: the witness does not watch it.
        SizeConflict: the log is shorter than what the witness has seen.
        CheckpointInvalid, ProofInvalid: it is forged, or rewritten.
    """
    note = parse_note(source.checkpoint())
    bare = AddCheckpoint(old_size=0, proof=(), note=note)
    log = next((key for key in witness.watched() if key.name == origin_of(bare)), None)
    known = witness.checkpoint_of(log) if log else None
    claimed = int(note.text.split("\n")[1])
    _verify_not_shorter(known, claimed)
    old = known.size if known else 0
    proof = tuple(consistency_proof(old, claimed, tree_of(source, claimed)))
    own = AddCheckpoint(old_size=old, proof=proof, note=note)
    witness.add_checkpoint(own, clock)
    origin = origin_of(bare)
    return Cosigned(origin=origin, size=claimed, note=witness.remembered(hash_of(origin)) or b"")


def _verify_not_shorter(known: Checkpoint | None, claimed: int) -> None:
    if known is not None and claimed < known.size:
        raise CheckpointInvalid(
            f"this witness has seen {known.size} entries, and now the log has {claimed}: entries were cut off its end",
            hint="keep what this witness has; the log, or the machine that it is on, is not what it was",
        )


class LogAccess(Protocol):
    """How whoever asks a witness gets at the log of the home."""

    async def read(self, unit: Unit[T]) -> T: ...
    async def write(self, unit: Unit[T]) -> T: ...


class OwnStore:
    """Implements ``LogAccess`` for a command, which has nothing else to do meanwhile."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read(self, unit: Unit[T]) -> T:
        """Run a unit that only reads."""
        return self._store.read(unit)

    async def write(self, unit: Unit[T]) -> T:
        """Run a unit and return its value once it is durable."""
        return self._store.write(unit)


def ask_witnesses(home: Home, name: str | None) -> list[tuple[str, int]]:
    """Have the newest checkpoint cosigned.

    Args:
        home: whose log.
        name: of one witness; every one with an address without it.

    Returns:
        who cosigned, and how many entries.

    Raises:
        NotFound: there is no such witness.
        HistoryContradicted: a witness has seen another history than this home has.
        Unavailable: one cannot be reached.
    """
    rows = home.store.read(lambda transaction: transaction.witnesses.all())
    wanted = [row for row in rows if row.url and name in {None, row.name}]
    if not wanted:
        raise NotFound(
            f"no witness {name!r:.80} with an address" if name else "no witness has an address",
            hint="add one with: swarmsec audit witness add VKEY --url URL",
        )

    async def ask_each() -> list[tuple[str, int]]:
        return [(row.name, await ask_witness(OwnStore(home.store), row)) for row in wanted]

    return asyncio.run(ask_each())


async def ask_witness(log: LogAccess, row: WitnessRow) -> int:
    """Have the newest checkpoint cosigned by one witness, and keep what it signed.

    Returns:
        how many entries it has cosigned now.

    Raises:
        HistoryContradicted: it has seen another history, or more entries than were signed here.
        CheckpointInvalid, LogFormatInvalid: what it answered is no cosignature of its own.
        Denied: it does not watch this log.
        Unavailable: it cannot be reached, or answers something else.
    """
    client = WitnessClient(row.url)
    checkpoint = await log.read(newest_checkpoint)
    old = 0
    for _ in range(MAX_ROUNDS):
        request = await log.read(partial(request_for, row=checkpoint, old_size=old))
        try:
            lines = await client.add_checkpoint(request)
        except SizeConflict as conflict:
            if conflict.known > checkpoint.size:
                raise HistoryContradicted(
                    f"{row.name} has seen {conflict.known} entries, this home signed no more than {checkpoint.size}:"
                    " entries were cut off the log's end"
                ) from None
            old = conflict.known
            continue
        cosigned = bytes(request.note) + lines.encode()
        await log.write(partial(accept_cosigned, data=cosigned))
        return checkpoint.size
    raise CheckpointInvalid(f"{row.name} did not settle on a size to prove from")
