"""The revocation list of a root: what the issuance table says is revoked, signed for those who cannot ask us.

The list itself is not stored. Its number, its times and a digest of its entries are, so that any process of the home
makes the same list again; only the signature differs. A new one is due when revocations changed, or half of the life
of the present one is over. A root that was given up has a last list, which is stored, for its key is gone. swarmsec
itself never reads a list: it looks each certificate up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509

from ca.issuing import Issuer, fingerprint
from ca.profiles import Validity
from ca.revocation import (
    Reason,
    Revocation,
    RevokedCertificate,
    build_revocation_list,
    entries_to_list,
    verify_revocation_list,
)
from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import rfc3339_seconds, unix_seconds
from swarmsec.errors import NotFound
from swarmsec.services.ca.revocation_lists import ListState, load_list_state, next_number, save_list_state
from swarmsec.services.ca.revocation_reasons import load_reasons
from swarmsec.services.ports import Keys, Transaction
from swarmsec.services.records import AuthorityRecord
from swarmsec.services.requester import Field, Requester
from swarmsec.services.rotation.rotation_records import GIVEN_UP, RetiredList
from swarmsec.services.rotation.rotation_roots import roots_now


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedList:
    """A list as it is handed out. Times in Unix seconds."""

    root_sha256: str
    """Of the root that signed it, lower-case hex."""
    number: int
    this_update: int
    next_update: int
    count: int
    """How many certificates it names."""
    der: bytes
    state: ListState | None
    """None for the last list of a root that was given up."""

    def is_due(self, now: int) -> bool:
        """Whether another one is to be made for its age."""
        return self.state is not None and self.state.is_past_half(now)


def listed_roots(transaction: Transaction) -> Sequence[AuthorityRecord]:
    """The roots whose certificates count now: the public one, and during a rotation the other one after it.

    Raises:
        NotFound: the home is no authority.
    """
    active = public_root(transaction)
    return [active, *(root for root in roots_now(transaction, active).accepted if root.generation != active.generation)]


def public_root(transaction: Transaction) -> AuthorityRecord:
    """The root that strangers are given.

    Raises:
        NotFound: the home is no authority.
    """
    active = transaction.authorities.active()
    if active is None:
        raise NotFound("this home has no certificate authority", hint="make one with: swarmsec ca init")
    return active


def find_root(transaction: Transaction, sha256: str) -> AuthorityRecord:
    """A root of the authority, of now or of former times, by the SHA-256 of its certificate.

    Raises:
        NotFound: there is none.
    """
    for record in transaction.authorities.all():
        if fingerprint(record.certificate) == sha256:
            return record
    raise NotFound(f"no root with SHA-256 {sha256!r:.70}", hint="list them with: swarmsec ca show")


def current_list(transaction: Transaction, keys: Keys, root: AuthorityRecord) -> PublishedList | None:
    """A root's list in force, or None where a new one is due.

    Raises:
        NotFound: the root was given up, and left no list.
        KeyUnavailable: its key is in a token, which cannot be used now.
    """
    if root.state in GIVEN_UP:
        return _last_list(transaction, root)
    state = load_list_state(transaction, root.generation)
    if state is None:
        return None
    entries = _entries(transaction, root, state.this_update, state.previous_update)
    if state.is_past_half(unix_seconds(transaction.clock)) or state.entries_sha256 != _digest(entries):
        return None
    return _sign(transaction, keys, root, state, entries)


def publish_list(transaction: Transaction, keys: Keys, root: AuthorityRecord, requester: Requester) -> PublishedList:
    """A root's list in force; where a new one is due, it is made with the next number and logged.

    Raises:
        NotFound, KeyUnavailable: as ``current_list``.
    """
    present = current_list(transaction, keys, root)
    if present is not None:
        return present
    now, former = unix_seconds(transaction.clock), load_list_state(transaction, root.generation)
    previous = None if former is None else former.this_update
    entries = _entries(transaction, root, now, previous)
    state = ListState(
        number=next_number(transaction),
        generation=root.generation,
        this_update=now,
        previous_update=previous,
        entries_sha256=_digest(entries),
    )
    published = _sign(transaction, keys, root, state, entries)
    save_list_state(transaction, state)
    fields: Mapping[str, Field] = {
        "number": state.number,
        "root_sha256": published.root_sha256,
        "revoked": published.count,
        "next_update": rfc3339_seconds(state.next_update),
        "sha256": hashlib.sha256(published.der).hexdigest(),
    }
    target = ObjectRef(type="revocation-list", id=transaction.settings.get("cluster_id") or "", version=root.generation)
    transaction.log(requester.event(Action.CA_CRL, target, fields=fields))
    return published


def _last_list(transaction: Transaction, root: AuthorityRecord) -> PublishedList:
    kept = transaction.rotations.retired_list(root.generation)
    if kept is None:
        raise NotFound(f"the root of generation {root.generation} left no revocation list")
    return describe_last_list(root, kept)


def describe_last_list(root: AuthorityRecord, kept: RetiredList) -> PublishedList:
    """The last list of a root, read back from what is kept of it.

    Raises:
        ca.errors.InvalidCertificate: it is none of this root's.
    """
    certificate = x509.load_der_x509_certificate(root.certificate)
    found = verify_revocation_list(kept.der, authority=certificate)
    return PublishedList(
        root_sha256=fingerprint(root.certificate),
        number=found.number,
        this_update=int(found.validity.not_before.timestamp()),
        next_update=int(found.validity.not_after.timestamp()),
        count=len(found.entries),
        der=kept.der,
        state=None,
    )


def _entries(
    transaction: Transaction, root: AuthorityRecord, this_update: int, previous_update: int | None
) -> tuple[Revocation, ...]:
    """Entries of what this root issued; another root's certificates are no matter of its lists."""
    reasons = load_reasons(transaction)
    revoked = (
        RevokedCertificate(
            revocation=Revocation(
                serial=int(record.serial, 16), revoked_at=_moment(record.revoked), reason=reasons.of(record)
            ),
            not_after=_moment(record.not_after),
        )
        for record in transaction.certificates.revoked()
        if record.generation == root.generation
    )
    crosses = (
        RevokedCertificate(
            revocation=Revocation(
                serial=int(cross.serial, 16), revoked_at=_moment(cross.revoked), reason=Reason.CESSATION_OF_OPERATION
            ),
            not_after=_moment(cross.not_after),
        )
        for cross in transaction.rotations.crosses()
        if cross.revoked and cross.generation == root.generation
    )
    previous = None if previous_update is None else _moment(previous_update)
    return entries_to_list([*revoked, *crosses], this_update=_moment(this_update), previous_update=previous)


def _sign(
    transaction: Transaction, keys: Keys, root: AuthorityRecord, state: ListState, entries: Sequence[Revocation]
) -> PublishedList:
    life = Validity(not_before=_moment(state.this_update), not_after=_moment(state.next_update))
    issuer = Issuer(x509.load_der_x509_certificate(root.certificate), keys.signer(transaction, root.key_name))
    return PublishedList(
        root_sha256=fingerprint(root.certificate),
        number=state.number,
        this_update=state.this_update,
        next_update=state.next_update,
        count=len(entries),
        der=build_revocation_list(issuer, number=state.number, validity=life, entries=entries),
        state=state,
    )


def _digest(entries: Sequence[Revocation]) -> str:
    lines = (f"{entry.serial:x} {int(entry.revoked_at.timestamp())} {entry.reason.value}\n" for entry in entries)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _moment(unix: int) -> datetime:
    return datetime.fromtimestamp(unix, UTC)
