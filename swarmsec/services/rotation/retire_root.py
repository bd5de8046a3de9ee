"""Give a root up: the old one when a rotation ends, the new one when it was called off.

Whatever of it still counts is revoked, and its private key is erased in the same transaction; one in a token stays
there, for tokens know no transactions, and the key may be for others to remove. A last revocation list is signed
before, which names everything of that root whose time is not over and lasts as long as that, so that whoever goes on
trusting the root elsewhere learns that nothing of it counts any more. Join tokens carry the digest of the root that
goes: the standing ones are made anew, and those with limits end, since only their keyed hash is known here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509

from ca.identity import NodeRole
from ca.issuing import Issuer, fingerprint
from ca.profiles import Validity
from ca.revocation import MAX_LIST_LIFE, Reason, Revocation, build_revocation_list
from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import unix_seconds
from swarmsec.errors import IntegrityFailure
from swarmsec.services.ca.revocation_lists import LIFE_SECONDS, end_lists, next_number
from swarmsec.services.ca.revocation_reasons import load_reasons, revoke_record
from swarmsec.services.ca.show_authority import is_token_key_name
from swarmsec.services.nodes.limited_tokens import ACTIVE, revoke_limited_token, state_of
from swarmsec.services.nodes.standing_tokens import renew_standing_token
from swarmsec.services.ports import Keys, Transaction
from swarmsec.services.records import AuthorityRecord, CertificateRecord, CertificateStatus
from swarmsec.services.requester import Field, Requester
from swarmsec.services.rotation.rotation_records import CrossCertificate, RetiredList, RootState, RotationRecord
from swarmsec.services.rotation.rotation_steps import ROWS_PER_ENTRY

_WHY: Final = "its root was given up"
_REVOKED_PER_ENTRY: Final = ROWS_PER_ENTRY // 2
"""Each has a row for its status and one for its reason."""


def retire_root(transaction: Transaction, keys: Keys, rotation: RotationRecord, requester: Requester) -> None:
    """End the old root, and make the new one the authority's."""
    old, new = _root(transaction, rotation.old_generation), _root(transaction, rotation.new_generation)
    _give_up(transaction, keys, old, RootState.RETIRED, requester)
    transaction.authorities.change_state(new, RootState.ACTIVE)
    now = unix_seconds(transaction.clock)
    for token in transaction.limited_tokens.all():
        if state_of(token, now) == ACTIVE:
            revoke_limited_token(transaction, token.token_id, requester, reason="the root that it names was retired")
    for role in NodeRole:
        renew_standing_token(transaction, keys, requester, role)


def abandon_root(transaction: Transaction, keys: Keys, rotation: RotationRecord, requester: Requester) -> None:
    """End the new root of a rotation that was called off, when nobody uses it any more."""
    new = _root(transaction, rotation.new_generation)
    _revoke_crosses(transaction, rotation, requester)
    _give_up(transaction, keys, new, RootState.ABANDONED, requester)


def _give_up(
    transaction: Transaction, keys: Keys, root: AuthorityRecord, state: RootState, requester: Requester
) -> None:
    left = _left_of(transaction, root)
    _revoke(transaction, left.valid, root, requester)
    published = _last_list(transaction, keys, root, left)
    transaction.rotations.add_list(published)
    end_lists(transaction, root.generation, last_number=published.number)
    transaction.authorities.change_state(root, state)
    keys.destroy(transaction, root.key_name)
    fields: Mapping[str, Field] = {
        "state": state.value,
        "root_sha256": fingerprint(root.certificate),
        "list_number": published.number,
        **({"key_left_in_token": root.key_name} if is_token_key_name(root.key_name) else {}),
    }
    transaction.log(requester.event(Action.CA_ROOT_RETIRE, _reference(transaction, root), fields=fields))


@dataclass(slots=True, kw_only=True)
class _Left:
    """What a root issued and whose time is not over."""

    valid: list[CertificateRecord] = field(default_factory=list)
    entries: dict[str, Revocation] = field(default_factory=dict)
    """Everything as the last list has it, by serial."""
    last: int
    """When the last of them ends, in Unix seconds; now, where there is none."""


def _left_of(transaction: Transaction, root: AuthorityRecord) -> _Left:
    """Go through the certificates one by one: thousands that nodes have replaced are not held together."""
    now, reasons = unix_seconds(transaction.clock), load_reasons(transaction)
    left = _Left(last=now)
    for record in transaction.certificates.unexpired(now, generation=root.generation):
        is_revoked = record.status is CertificateStatus.REVOKED
        left.entries[record.serial] = Revocation(
            serial=int(record.serial, 16),
            revoked_at=_moment(record.revoked if is_revoked else now),
            reason=reasons.of(record) if is_revoked else Reason.SUPERSEDED,
        )
        left.last = max(left.last, record.not_after)
        if record.status is CertificateStatus.VALID:
            left.valid.append(record)
    return left


def _revoke(
    transaction: Transaction, valid: Sequence[CertificateRecord], root: AuthorityRecord, requester: Requester
) -> None:
    """Revoke what counts; what was superseded already counts no more, since nobody comes in under this root."""
    now = unix_seconds(transaction.clock)
    for start in range(0, len(valid), _REVOKED_PER_ENTRY):
        part = valid[start : start + _REVOKED_PER_ENTRY]
        for record in part:
            revoke_record(transaction, record, Reason.SUPERSEDED, when=now)
        fields: Mapping[str, Field] = {"certificates": len(part)}
        target = _reference(transaction, root)
        transaction.log(requester.event(Action.CA_REVOKE, target, reason=_WHY, fields=fields))


def _revoke_crosses(transaction: Transaction, rotation: RotationRecord, requester: Requester) -> None:
    now = unix_seconds(transaction.clock)
    crosses = [each for each in transaction.rotations.crosses() if _is_of(each, rotation) and each.not_after > now]
    for cross in crosses:
        transaction.rotations.change_cross(replace(cross, revoked=now))
        target = ObjectRef(type="certificate", id=cross.serial)
        transaction.log(requester.event(Action.CA_REVOKE, target, reason="the rotation was called off"))


def _is_of(cross: CrossCertificate, rotation: RotationRecord) -> bool:
    return cross.generation == rotation.old_generation and cross.purpose == "rotation" and not cross.revoked


def _last_list(transaction: Transaction, keys: Keys, root: AuthorityRecord, left: _Left) -> RetiredList:
    """Everything that this root issued and whose time is not over, as revoked."""
    now, entries, last = unix_seconds(transaction.clock), left.entries, left.last
    for cross in transaction.rotations.crosses():
        if cross.generation == root.generation and cross.not_after > now:
            entries[cross.serial] = Revocation(
                serial=int(cross.serial, 16),
                revoked_at=_moment(cross.revoked or now),
                reason=Reason.CESSATION_OF_OPERATION,
            )
            last = max(last, cross.not_after)
    longest = now + int((MAX_LIST_LIFE - timedelta(days=1)).total_seconds())
    next_update = min(max(last, now + LIFE_SECONDS), longest)
    number = next_number(transaction)
    issuer = Issuer(x509.load_der_x509_certificate(root.certificate), keys.signer(transaction, root.key_name))
    life = Validity(not_before=_moment(now), not_after=_moment(next_update))
    der = build_revocation_list(issuer, number=number, validity=life, entries=list(entries.values()))
    return RetiredList(generation=root.generation, number=number, next_update=next_update, der=der)


def _root(transaction: Transaction, generation: int) -> AuthorityRecord:
    record = transaction.authorities.by_generation(generation)
    if record is None:
        raise IntegrityFailure(f"expected the root of generation {generation}, got none")
    return record


def _reference(transaction: Transaction, root: AuthorityRecord) -> ObjectRef:
    return ObjectRef(type="authority", id=transaction.settings.get("cluster_id") or "", version=root.generation)


def _moment(unix: int) -> datetime:
    return datetime.fromtimestamp(unix, UTC)
