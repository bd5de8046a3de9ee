"""What nodes do in a root rotation: told by the certificate that they show, and by the digest of what they trust.

Drivers and agents follow as nodes do, and are counted among them here.

A node that lies harms itself alone. That it uses a certificate of the new root is seen in its handshake, not said; that
it trusts both roots it may say untruly, and then meets certificates that it cannot verify.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ca.rotation import BundleAcknowledged, Converged, Enrolled, FinishWithout, Phase, Reissued, Returned
from ca.rotation_events import NodeEvent
from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import ObjectRef
from swarmsec.errors import Denied
from swarmsec.services.ca.authority import Authority
from swarmsec.services.ca.issued_certificates import reference_of
from swarmsec.services.nodes.renew_node import records_of
from swarmsec.services.ports import Refusal, Transaction
from swarmsec.services.records import CertificateRecord, CertificateStatus
from swarmsec.services.requester import Requester
from swarmsec.services.rotation.rotation_records import RotationNode, RotationRecord
from swarmsec.services.rotation.rotation_roots import running_rotation
from swarmsec.services.rotation.rotation_steps import load_around, take_event

_ISSUING_NEW = frozenset({Phase.REISSUING, Phase.CONVERGING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A node that calls."""

    presented: CertificateRecord
    roots_sha256: bytes
    """SHA-256 of the exact root bundle that it says it trusts."""

    @property
    def node(self) -> str:
        """Its id, as the issuance table says."""
        return self.presented.subject_id


class Steps(NamedTuple):
    """How far some nodes are in a rotation; those that are no part of it are absent."""

    rotation: int
    nodes: Mapping[str, RotationNode]


def steps_of(transaction: Transaction, authority: Authority, names: Sequence[str]) -> Steps | None:
    """How far nodes are in the rotation that runs, looked up together; None where none runs."""
    record = authority.rotation
    return None if record is None else Steps(record.id, transaction.rotations.nodes_among(record.id, names))


def refusal_of(requester: Requester, presented: CertificateRecord | None = None) -> Refusal:
    """What somebody is told who does not follow a rotation by themselves.

    Args:
        presented: the certificate that was shown, if it is one of ours.
    """
    target = reference_of(presented) if presented else ObjectRef(type="certificate")
    why = "only a node, driver or agent of this authority can ask which roots it is to trust"
    event = requester.event(Action.CA_ROTATE_NODE, target, outcome=Outcome.DENIED, reason=why)
    return Refusal(Denied(why, hint="join with: swarmsec node join --server URL --token TOKEN --dir DIR"), event)


def note_call(
    transaction: Transaction, authority: Authority, seen: Seen, requester: Requester, steps: Steps | None = None
) -> bool:
    """Take what a node's call says.

    Args:
        authority: as it is in this transaction.
        steps: how far the node is, where that is known; looked for otherwise.

    Returns:
        whether that ended a phase, so that the authority is another one from now on.
    """
    before = record = authority.rotation
    while record is not None:
        known = _known(transaction, record, seen.node, steps)
        event = _event(authority, record, seen, "" if known is None else known.step)
        if event is None:
            break
        record = _take(transaction, record, event, known, requester)
        if not isinstance(event, Enrolled):
            # Whatever else it says was said before, and a phase that this ended asks it for nothing that it has done.
            break
        # What was known is written over.
        steps = None
    return record is not before


def note_issued(
    transaction: Transaction,
    authority: Authority,
    issued: CertificateRecord,
    requester: Requester,
    steps: Steps | None = None,
) -> bool:
    """Take up that a node was given a certificate: by joining, renewing or coming back.

    Args:
        authority: that issued it.
        steps: how far the node is, where that is known; looked for otherwise.

    Returns:
        as ``note_call``.
    """
    record = authority.rotation
    if record is None or Phase(record.phase).is_over:
        return False
    known = _known(transaction, record, issued.subject_id, steps)
    if known is None or known.step == "excluded":
        return _take(transaction, record, Enrolled(node=issued.subject_id), known, requester) is not record
    if issued.generation == record.new_generation and known.step == "acknowledged":
        return _take(transaction, record, Reissued(node=issued.subject_id), known, requester) is not record
    return False


def _known(transaction: Transaction, record: RotationRecord, node: str, steps: Steps | None) -> RotationNode | None:
    if steps is not None and steps.rotation == record.id:
        return steps.nodes.get(node)
    return transaction.rotations.node(record.id, node)


def note_revoked(transaction: Transaction, node: str, requester: Requester) -> None:
    """Go on without a node whose last certificate was revoked: it cannot follow any more."""
    record = running_rotation(transaction)
    known = transaction.rotations.node(record.id, node) if record is not None else None
    if (
        record is None
        or known is None
        or any(each.status is not CertificateStatus.REVOKED for each in records_of(transaction, node))
    ):
        return
    before = load_around(transaction, record, node, known)
    take_event(transaction, record, before, FinishWithout(nodes=frozenset({node})), requester)


def must_renew(authority: Authority, generation: int) -> bool:
    """Whether a node is to get a certificate of the root that issues now.

    Args:
        generation: of the root that its present one stands under.
    """
    rotation = authority.rotation
    if rotation is None or generation == authority.record.generation:
        return False
    return generation in {rotation.old_generation, rotation.new_generation}


def may_advance(authority: Authority, record: RotationRecord, generation: int, roots_sha256: bytes) -> bool:
    """Whether the call of a node that is part of the rotation can say anything new, however far the node is.

    Args:
        record: of the rotation that runs.
        generation: of the root that the certificate stands under, which the node showed.
        roots_sha256: of the exact root bundle that it says it trusts.
    """
    phase, is_on_new = Phase(record.phase), generation == record.new_generation
    if phase is Phase.ABORTED:
        return not is_on_new
    if phase in _ISSUING_NEW:
        return is_on_new
    return phase is Phase.DISTRIBUTING and roots_sha256 == authority.trusted_sha256


def _event(authority: Authority, record: RotationRecord, seen: Seen, step: str) -> NodeEvent | Returned | None:
    """What a node's call says that is not known yet; its ``step`` is empty before it is part of the rotation."""
    phase = Phase(record.phase)
    if not step and phase is not Phase.ABORTED:
        return Enrolled(node=seen.node)
    if not may_advance(authority, record, seen.presented.generation, seen.roots_sha256):
        return None
    if phase is Phase.ABORTED:
        return Returned(node=seen.node) if step in {"reissued", "converged"} else None
    if phase in _ISSUING_NEW:
        return Converged(node=seen.node) if step != "converged" else None
    return BundleAcknowledged(node=seen.node) if step == "pending" else None


def _take(
    transaction: Transaction,
    record: RotationRecord,
    event: NodeEvent | Returned,
    known: RotationNode | None,
    requester: Requester,
) -> RotationRecord:
    before = load_around(transaction, record, event.node, known)
    return take_event(transaction, record, before, event, requester)[0]
