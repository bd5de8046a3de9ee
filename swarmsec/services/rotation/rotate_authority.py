"""Rotate the authority's root, or call a rotation off: what happens by our own doing, one transaction a step.

Each step is whole in itself, so that a process may end between any two. Whoever comes next, a command or a server,
looks how far the rotation is and does the step that follows. One process at a time does so, under a lease. What nodes
do in between is ``follow_rotation``'s, what happens to the root that goes ``retire_root``'s.

Nodes that somebody else moves to the new root, such as those of a Swarm, are not waited for here: whoever begins a
rotation says which nodes follow by themselves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ca.issuing import Issuer, cross_sign, fingerprint, serial_from
from ca.profiles import cross_validity
from ca.revocation import Reason
from ca.rotation import Abort, Begin, CrossSigned, Distribute, Event, FinishWithout, Phase, Retire, advance
from ca.serials import SERIAL_BYTES
from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import now_utc, unix_seconds
from swarmsec.errors import NotFound, Unavailable, UsageProblem
from swarmsec.services.ca.revoke_certificates import revoke_certificates
from swarmsec.services.ca.token_roots import conclude_token_key
from swarmsec.services.ports import Keys, Transaction
from swarmsec.services.records import AuthorityRecord
from swarmsec.services.requester import Field, Requester
from swarmsec.services.rotation.next_roots import LIKE_THE_PRESENT, NextRoot, make_next_root
from swarmsec.services.rotation.retire_root import abandon_root, retire_root
from swarmsec.services.rotation.rotation_records import CrossCertificate, RotationRecord
from swarmsec.services.rotation.rotation_roots import running_rotation
from swarmsec.services.rotation.rotation_steps import (
    end_rotation,
    keep,
    load_rotation,
    load_what_holds_up,
    take_event,
)

LEASE: Final = "ca.rotate"
LEASE_SECONDS: Final = 10
"""Whoever does the steps renews it before; a process that died keeps others waiting no longer than this."""
ROTATION: Final = "rotation"
_LEFT_OUT: Final = Reason.CESSATION_OF_OPERATION
_WAITING = frozenset({Phase.DISTRIBUTING, Phase.REISSUING, Phase.CONVERGING})


class _Step(Enum):
    """What a rotation needs of us."""

    CROSS_SIGN = auto()
    DISTRIBUTE = auto()
    RETIRE = auto()
    ABANDON = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A rotation that runs, or was over as soon as it began."""

    record: RotationRecord
    joined: bool
    """Whether somebody had begun it before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Somebody else does the steps."""

    holder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Nodes that a rotation goes on without, their certificates revoked."""

    nodes: tuple[str, ...]
    followed: tuple[str, ...]
    """Those that were named and had followed already; nothing happened to them."""


def begin_rotation(
    transaction: Transaction,
    keys: Keys,
    requester: Requester,
    *,
    nodes: frozenset[str],
    wanted: NextRoot = LIKE_THE_PRESENT,
) -> Begun:
    """Make a new root and begin to move to it, or follow the rotation that runs.

    Args:
        nodes: who has to follow by themselves, as ``enrolled_nodes`` says.
        wanted: what the new root is to be.

    Raises:
        NotFound: the home is no authority.
        Unavailable: nodes are still on their way back from a rotation that was called off.
        UsageProblem: as ``make_next_root``.
    """
    active = transaction.authorities.active()
    if active is None:
        raise NotFound("this home has no certificate authority", hint="make one with: swarmsec ca init")
    running = running_rotation(transaction)
    if running is not None:
        _leave_token_key(transaction, wanted, requester)
        return _joined(transaction, running, nodes, requester)
    new = make_next_root(transaction, keys, active, wanted, requester)
    newest = transaction.rotations.newest()
    record = RotationRecord(
        id=1 if newest is None else newest.id + 1,
        phase=Phase.PREPARED.value,
        old_generation=active.generation,
        new_generation=new.generation,
        old_root=fingerprint(active.certificate),
        new_root=fingerprint(new.certificate),
        cross_signed="",
        started=unix_seconds(transaction.clock),
        ended=0,
    )
    state = advance(None, Begin(old_root=record.old_root, new_root=record.new_root, nodes=nodes))
    record = keep(transaction, record, None, state, requester)
    if state.phase is Phase.RETIRED:
        record = _retired(transaction, keys, record, requester)
    return Begun(record=record, joined=False)


def do_next_step(
    transaction: Transaction, keys: Keys, requester: Requester, holder: str
) -> RotationRecord | Held | None:
    """Do what the running rotation needs of us now, if anything.

    Args:
        holder: names this process among the lease's holders.

    Returns:
        the rotation after a step; None where there was none to do; or who else is at it.
    """
    record = running_rotation(transaction)
    if record is None:
        return None
    if transaction.leases.take(LEASE, holder, LEASE_SECONDS) is None:
        return Held(holder=transaction.leases.holder(LEASE) or "another process")
    step = _next_step(transaction, record)
    return None if step is None else _do(step, transaction, keys, record, requester)


def is_step_due(transaction: Transaction) -> bool:
    """Whether ``do_next_step`` would find a step to do, if nobody else is at it."""
    record = running_rotation(transaction)
    return record is not None and _next_step(transaction, record) is not None


def abort_rotation(transaction: Transaction, keys: Keys, requester: Requester) -> RotationRecord:
    """Call the running rotation off: the old root issues again, and nodes that had moved come back.

    Returns:
        the rotation; it has ended where no node had moved, or it had been called off before and all are back.

    Raises:
        NotFound: none runs, and the newest one was not called off.
    """
    newest = transaction.rotations.newest()
    if newest is not None and newest.ended and newest.phase == Phase.ABORTED:
        return newest
    record = _running(transaction)
    before = load_rotation(transaction, record)
    record, after = take_event(transaction, record, before, Abort(), requester)
    return _abandoned(transaction, keys, record, requester) if after.is_settled else record


def finish_without(transaction: Transaction, nodes: frozenset[str], requester: Requester) -> LeftOut:
    """Go on without nodes, and revoke their certificates: they are not to come back with what they have.

    Raises:
        NotFound: no rotation runs.
        ca.errors.RotationRefused: one is not part of it.
    """
    record = _running(transaction)
    before = load_rotation(transaction, record)
    _, after = take_event(transaction, record, before, FinishWithout(nodes=nodes), requester)
    left = tuple(sorted(after.excluded - before.excluded))
    for node in left:
        revoke_certificates(transaction, node, requester, why=_LEFT_OUT, reason="left out of the root rotation")
    return LeftOut(nodes=left, followed=tuple(sorted(nodes - after.excluded)))


def _running(transaction: Transaction) -> RotationRecord:
    record = running_rotation(transaction)
    if record is None:
        raise NotFound("no root rotation runs", hint="begin one with: swarmsec ca rotate")
    return record


def _leave_token_key(transaction: Transaction, wanted: NextRoot, requester: Requester) -> None:
    """Put on record that a key was made in a token for nothing: somebody else had begun meanwhile."""
    if wanted.in_token is not None and wanted.in_token.plan is not None:
        conclude_token_key(transaction, requester, wanted.in_token.plan, "another rotation had begun")


def _joined(transaction: Transaction, record: RotationRecord, nodes: frozenset[str], requester: Requester) -> Begun:
    if record.phase == Phase.ABORTED:
        waiting = len(load_rotation(transaction, record).on_new_root)
        raise Unavailable(
            f"the rotation that was called off still waits for {waiting} nodes to come back",
            hint="wait for them: swarmsec ca rotate --abort; or go on without one: --finish-without NODE",
        )
    before = load_rotation(transaction, record)
    if nodes <= before.nodes:
        return Begun(record=record, joined=True)
    event = Begin(old_root=record.old_root, new_root=record.new_root, nodes=nodes)
    record, _ = take_event(transaction, record, before, event, requester)
    return Begun(record=record, joined=True)


def _next_step(transaction: Transaction, record: RotationRecord) -> _Step | None:
    """What the rotation needs of us now; asked again and again, it costs the same however many nodes there are."""
    phase = Phase(record.phase)
    if phase is Phase.PREPARED or (phase in _WAITING and _is_cross_signed_late(transaction, record)):
        return _Step.CROSS_SIGN
    if phase is Phase.CROSS_SIGNED:
        return _Step.DISTRIBUTE
    if phase is Phase.CONVERGING and not _is_anybody_at(transaction, record, "reissued"):
        return _Step.RETIRE
    if phase is Phase.ABORTED and not _is_anybody_at(transaction, record, "reissued", "converged"):
        return _Step.ABANDON
    return None


def _is_anybody_at(transaction: Transaction, record: RotationRecord, *steps: str) -> bool:
    return any(transaction.rotations.another_at(record.id, step, than="") for step in steps)


def _do(
    step: _Step, transaction: Transaction, keys: Keys, record: RotationRecord, requester: Requester
) -> RotationRecord:
    match step:
        case _Step.CROSS_SIGN:
            return _cross_signed(transaction, keys, record, requester)
        case _Step.DISTRIBUTE:
            return _took(transaction, record, Distribute(), requester)
        case _Step.RETIRE:
            return _retired(transaction, keys, _took(transaction, record, Retire(), requester), requester)
        case _Step.ABANDON:
            return _abandoned(transaction, keys, record, requester)


def _took(transaction: Transaction, record: RotationRecord, event: Event, requester: Requester) -> RotationRecord:
    """Take an event that is no node's."""
    return take_event(transaction, record, load_what_holds_up(transaction, record), event, requester)[0]


def _cross_signed(transaction: Transaction, keys: Keys, record: RotationRecord, requester: Requester) -> RotationRecord:
    """Sign the new root with the old one; again at half of the certificate's life, so that a long rotation goes on."""
    clock = transaction.clock
    old, new = _root(transaction, record.old_generation), _root(transaction, record.new_generation)
    issuer = Issuer(x509.load_der_x509_certificate(old.certificate), keys.signer(transaction, old.key_name))
    new_root = x509.load_der_x509_certificate(new.certificate)
    span = cross_validity(
        now_utc(clock), issuer_not_after=issuer.not_after, root_not_after=new_root.not_valid_after_utc
    )
    serial = serial_from(clock.random(SERIAL_BYTES))
    der = cross_sign(issuer, new_root=new_root, serial=serial, validity=span)
    cross = CrossCertificate(
        sha256=fingerprint(der),
        generation=old.generation,
        serial=f"{serial:x}",
        spki_sha256=_spki_sha256(new_root),
        der=der,
        not_after=int(span.not_after.timestamp()),
        purpose=ROTATION,
        revoked=0,
    )
    transaction.rotations.add_cross(cross)
    fields: Mapping[str, Field] = {"root_sha256": record.new_root, "by": record.old_root, "purpose": cross.purpose}
    transaction.log(
        requester.event(Action.CA_CROSS_SIGN, ObjectRef(type="certificate", id=cross.serial), fields=fields)
    )
    return _took(transaction, record, CrossSigned(fingerprint=cross.sha256), requester)


def _is_cross_signed_late(transaction: Transaction, record: RotationRecord) -> bool:
    cross = transaction.rotations.cross(record.cross_signed)
    if cross is None:
        return True
    certificate = x509.load_der_x509_certificate(cross.der)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return datetime.fromtimestamp(unix_seconds(transaction.clock), UTC) >= begins + (ends - begins) / 2


def _retired(transaction: Transaction, keys: Keys, record: RotationRecord, requester: Requester) -> RotationRecord:
    retire_root(transaction, keys, record, requester)
    return end_rotation(transaction, record, requester)


def _abandoned(transaction: Transaction, keys: Keys, record: RotationRecord, requester: Requester) -> RotationRecord:
    abandon_root(transaction, keys, record, requester)
    return end_rotation(transaction, record, requester)


def _root(transaction: Transaction, generation: int) -> AuthorityRecord:
    record = transaction.authorities.by_generation(generation)
    if record is None:
        raise UsageProblem(f"no root of generation {generation}")
    return record


def _spki_sha256(certificate: x509.Certificate) -> str:
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()
