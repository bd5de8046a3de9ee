"""Both sides of a cosignature: a witness that fetches a log, and a home that asks its witnesses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from swarmsec.audit.checkpoints import Checkpoint
from swarmsec.audit.errors import CheckpointInvalid
from swarmsec.audit.notes import parse_note
from swarmsec.audit.proofs import consistency_proof
from swarmsec.audit.witnessing import AddCheckpoint, SizeConflict, origin_of
from swarmsec.clock import Clock
from swarmsec.errors import NotFound
from swarmsec.services.log_records import WitnessRow
from swarmsec.services.log_source import LogSource, tree_of
from swarmsec.services.witness_log import accept_cosigned, newest_checkpoint, request_for
from swarmsec.wiring.home import Home
from swarmsec.wiring.witnessclient import WitnessClient
from swarmsec.wiring.witnessdir import Witness, hash_of


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


def ask_witnesses(home: Home, name: str | None) -> list[tuple[str, int]]:
    """Have the newest checkpoint cosigned.

    Args:
        name: of one witness; every one with an address without it.

    Returns:
        who cosigned, and how many entries.

    Raises:
        NotFound: there is no such witness.
        CheckpointInvalid: a witness has seen another history than this home has.
        Unavailable: one cannot be reached.
    """
    rows = home.store.read(lambda transaction: transaction.witnesses.all())
    wanted = [row for row in rows if row.url and name in {None, row.name}]
    if not wanted:
        raise NotFound(
            f"no witness {name!r:.80} with an address" if name else "no witness has an address",
            hint="add one with: swarmsec audit witness add VKEY --url URL",
        )
    return [(row.name, _ask(home, row)) for row in wanted]


def _ask(home: Home, row: WitnessRow) -> int:
    client = WitnessClient(row.url)
    checkpoint = home.store.read(newest_checkpoint)
    old = 0
    for _ in range(3):
        with home.store.reading() as transaction:
            request = request_for(transaction, checkpoint, old)
        try:
            lines = client.add_checkpoint(request)
        except SizeConflict as conflict:
            if conflict.known > checkpoint.size:
                raise CheckpointInvalid(
                    f"{row.name} has seen {conflict.known} entries, this home signed no more than {checkpoint.size}:"
                    " entries were cut off the log's end"
                ) from None
            old = conflict.known
            continue
        cosigned = bytes(request.note) + lines.encode()
        home.store.write(partial(accept_cosigned, data=cosigned))
        return checkpoint.size
    raise CheckpointInvalid(f"{row.name} did not settle on a size to prove from")
