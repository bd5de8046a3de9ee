"""Which root does what in each phase of a rotation.

| phase | issues | nodes trust | clients may come under |
|---|---|---|---|
| none, prepared, cross_signed | old | old | old |
| distributing | old | both | both |
| reissuing, converging | new | both | both |
| aborted, not settled | old | old | both |

Strangers are given the old root alone until it is retired, as SwarmKit does: join tokens carry its digest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, assert_never

from ca.rotation_state import Phase
from swarmsec.errors import IntegrityFailure
from swarmsec.services.ports import Transaction
from swarmsec.services.records import AuthorityRecord
from swarmsec.services.rotation.rotation_records import RotationRecord

EPOCH: Final = "ca_epoch"
_EPOCH_BYTES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class RootsNow:
    """What each root of the authority is for at this moment."""

    issuing: AuthorityRecord
    trusted: tuple[AuthorityRecord, ...]
    accepted: tuple[AuthorityRecord, ...]
    cross_signed: bytes = b""
    """DER; empty where nobody needs it."""
    rotation: RotationRecord | None = None


def running_rotation(transaction: Transaction) -> RotationRecord | None:
    """The rotation in which something is left to do, or None."""
    newest = transaction.rotations.newest()
    return newest if newest is not None and not newest.ended else None


def roots_now(transaction: Transaction, active: AuthorityRecord) -> RootsNow:
    """See what each root is for.

    Args:
        active: the root that is active.

    Raises:
        IntegrityFailure: the rotation names a root or a certificate that is not there.
    """
    rotation = running_rotation(transaction)
    if rotation is None:
        return RootsNow(issuing=active, trusted=(active,), accepted=(active,))
    new = transaction.authorities.by_generation(rotation.new_generation)
    if new is None:
        raise IntegrityFailure(f"expected the root of generation {rotation.new_generation}, got none")
    both = (active, new)
    match Phase(rotation.phase):
        case Phase.PREPARED | Phase.CROSS_SIGNED:
            return RootsNow(issuing=active, trusted=(active,), accepted=(active,), rotation=rotation)
        case Phase.DISTRIBUTING:
            issuing = active
        case Phase.REISSUING | Phase.CONVERGING:
            issuing = new
        case Phase.ABORTED:
            cross_signed = _cross_of(transaction, rotation)
            return RootsNow(
                issuing=active, trusted=(active,), accepted=both, cross_signed=cross_signed, rotation=rotation
            )
        case Phase.RETIRED:
            raise IntegrityFailure("expected a rotation that is retired to have an end, got one without")
        case phase:
            assert_never(phase)
    cross_signed = _cross_of(transaction, rotation)
    return RootsNow(issuing=issuing, trusted=both, accepted=both, cross_signed=cross_signed, rotation=rotation)


def _cross_of(transaction: Transaction, rotation: RotationRecord) -> bytes:
    cross = transaction.rotations.cross(rotation.cross_signed)
    if cross is None:
        raise IntegrityFailure("expected the cross-certificate of the rotation, got none")
    return cross.der


def current_epoch(transaction: Transaction) -> str:
    """A word that changes with everything that ``roots_now`` says; empty before the first change.

    It is random and never comes again, so that what was loaded under it can be kept by it, even if the transaction
    that it was loaded in is undone.
    """
    return transaction.settings.get(EPOCH) or ""


def change_epoch(transaction: Transaction) -> None:
    """Say that roots changed; the caller logs the entry."""
    transaction.settings.put(EPOCH, transaction.clock.random(_EPOCH_BYTES).hex())
