"""The revocation list: what the issuance table says is revoked, signed for those who cannot ask us.

The list itself is not stored. Its number, its times and a digest of its entries are, so that any process of the home
makes the same list again; only the signature differs. A new one is due when revocations changed, or half of the life
of the present one is over. swarmsec itself never reads the list: it looks each certificate up.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

from ca.profiles import Validity
from ca.revocation import Reason, Revocation, RevokedCertificate, build_revocation_list, entries_to_list
from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import rfc3339_seconds, unix_seconds
from swarmsec.errors import IntegrityFailure
from swarmsec.services.authority import Authority
from swarmsec.services.ports import Transaction
from swarmsec.services.requester import Field, Requester

LIFE_SECONDS: Final = 7 * 24 * 3600
SETTING: Final = "ca/revocations"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListState:
    """What is kept of the newest list. Times in Unix seconds."""

    number: int
    generation: int
    """Of the root that signs it."""
    this_update: int
    previous_update: int | None
    """When the list before it was issued; entries whose certificates ended before that are gone."""
    entries_sha256: str

    @property
    def next_update(self) -> int:
        """When it ends."""
        return self.this_update + LIFE_SECONDS

    def is_past_half(self, now: int) -> bool:
        """Whether half of its life is over, or the clock stands before its begin."""
        return not self.this_update <= now < self.this_update + LIFE_SECONDS // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedList:
    """A list as it is handed out."""

    state: ListState
    der: bytes
    count: int


def load_list_state(transaction: Transaction) -> ListState | None:
    """What is known of the newest list; None before the first.

    Raises:
        IntegrityFailure: the setting is none that we write.
    """
    text = transaction.settings.get(SETTING)
    try:
        return None if text is None else ListState(**json.loads(text))
    except (ValueError, TypeError):
        raise IntegrityFailure(f"expected the state of a revocation list in the setting {SETTING}") from None


def current_list(transaction: Transaction, authority: Authority) -> PublishedList | None:
    """The list in force, or None where a new one is due."""
    state = load_list_state(transaction)
    if state is None or state.generation != authority.record.generation:
        return None
    entries = _entries(transaction, authority, state.this_update, state.previous_update)
    if state.is_past_half(unix_seconds(transaction.clock)) or state.entries_sha256 != _digest(entries):
        return None
    return _sign(authority, state, entries)


def publish_list(transaction: Transaction, authority: Authority, requester: Requester) -> PublishedList:
    """The list in force; where a new one is due, it is made with the next number and logged."""
    present = current_list(transaction, authority)
    if present is not None:
        return present
    now, former = unix_seconds(transaction.clock), load_list_state(transaction)
    same_root = former is not None and former.generation == authority.record.generation
    previous = former.this_update if former is not None and same_root else None
    entries = _entries(transaction, authority, now, previous)
    state = ListState(
        # Not below the clock: a home that was restored from a backup does not know how far its numbers went.
        number=max(former.number + 1 if former else 1, now),
        generation=authority.record.generation,
        this_update=now,
        previous_update=previous,
        entries_sha256=_digest(entries),
    )
    published = _sign(authority, state, entries)
    transaction.settings.put(SETTING, json.dumps(asdict(state), sort_keys=True))
    fields: Mapping[str, Field] = {
        "number": state.number,
        "revoked": published.count,
        "next_update": rfc3339_seconds(state.next_update),
        "sha256": hashlib.sha256(published.der).hexdigest(),
    }
    transaction.log(
        requester.event(Action.CA_CRL, ObjectRef(type="revocation-list", id=authority.cluster_id), fields=fields)
    )
    return published


def _entries(
    transaction: Transaction, authority: Authority, this_update: int, previous_update: int | None
) -> tuple[Revocation, ...]:
    """Entries of what this root issued; another root's certificates are no matter of its lists."""
    revoked = (
        RevokedCertificate(
            revocation=Revocation(
                serial=int(record.serial, 16), revoked_at=_moment(record.revoked), reason=Reason.UNSPECIFIED
            ),
            not_after=_moment(record.not_after),
        )
        for record in transaction.certificates.revoked()
        if record.generation == authority.record.generation
    )
    crosses = (
        RevokedCertificate(
            revocation=Revocation(
                serial=int(cross.serial, 16), revoked_at=_moment(cross.revoked), reason=Reason.CESSATION_OF_OPERATION
            ),
            not_after=_moment(cross.not_after),
        )
        for cross in transaction.rotations.crosses()
        if cross.revoked and cross.generation == authority.record.generation
    )
    previous = None if previous_update is None else _moment(previous_update)
    return entries_to_list([*revoked, *crosses], this_update=_moment(this_update), previous_update=previous)


def _sign(authority: Authority, state: ListState, entries: Sequence[Revocation]) -> PublishedList:
    life = Validity(not_before=_moment(state.this_update), not_after=_moment(state.next_update))
    der = build_revocation_list(authority.issuer, number=state.number, validity=life, entries=entries)
    return PublishedList(state=state, der=der, count=len(entries))


def _digest(entries: Sequence[Revocation]) -> str:
    lines = (f"{entry.serial:x} {int(entry.revoked_at.timestamp())} {entry.reason.value}\n" for entry in entries)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _moment(unix: int) -> datetime:
    return datetime.fromtimestamp(unix, UTC)
