"""Managers that wait for a person: a join with a good token is put on record, and issued for once it is approved.

A request belongs to one key. Who asks again with it is told the same; a use of the token is spent when the request is
put on record, and counts for as long as the request does, so a token that ends meanwhile ends no request. Revoking the
token does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import rfc3339_seconds, unix_seconds
from swarmsec.errors import Denied, Unavailable
from swarmsec.services.nodes.node_records import HeldNode, HeldState
from swarmsec.services.ports import Refusal, Transaction
from swarmsec.services.requester import Requester

REQUEST_LIFE: Final = timedelta(hours=24)
"""How long a request waits for a decision, and an approval for its node."""
MAX_OPEN: Final = 1000
"""Requests that wait at once; the holder of a manager token could fill the store otherwise."""
POLL_SECONDS: Final = 5
_ID_BYTES: Final = 8
_OPEN: Final = frozenset({HeldState.PENDING, HeldState.APPROVED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A node that asks to be a manager: who it will be, with which key, let in by which token."""

    node_id: str
    spki_sha256: bytes
    token_id: str


def is_open(held: HeldNode, now: int) -> bool:
    """Whether a request waits, or its approval does.

    Args:
        held: the request.
        now: Unix seconds.
    """
    return held.state in _OPEN and now < held.expires


def request_of_key(transaction: Transaction, spki_sha256: bytes) -> HeldNode | None:
    """The newest request of a key that is open or was denied, or None."""
    now = unix_seconds(transaction.clock)
    for held in reversed(transaction.held_nodes.by_public_key(spki_sha256)):
        if is_open(held, now) or held.state is HeldState.DENIED:
            return held
    return None


def holder_of_name(transaction: Transaction, node_id: str) -> HeldNode | None:
    """The open request that a name is kept for, or None."""
    now = unix_seconds(transaction.clock)
    return next((held for held in transaction.held_nodes.by_node(node_id) if is_open(held, now)), None)


def hold(transaction: Transaction, candidate: Candidate, requester: Requester) -> HeldNode:
    """Put a request on record.

    Raises:
        Refusal: too many wait already.
    """
    clock = transaction.clock
    now = unix_seconds(clock)
    if sum(is_open(held, now) for held in transaction.held_nodes.all()) >= MAX_OPEN:
        error = Unavailable(f"{MAX_OPEN} requests wait for approval", hint="decide them: swarmsec node pending")
        target = ObjectRef(type="node", id=candidate.node_id)
        raise Refusal(error, requester.event(Action.NODE_REQUEST, target, outcome=Outcome.DENIED, reason=str(error)))
    held = HeldNode(
        request_id=clock.random(_ID_BYTES).hex(),
        node_id=candidate.node_id,
        spki_sha256=candidate.spki_sha256,
        token_id=candidate.token_id,
        address=requester.source.ip,
        requested=now,
        expires=now + int(REQUEST_LIFE.total_seconds()),
        state=HeldState.PENDING,
    )
    transaction.held_nodes.add(held)
    fields = {
        "request": held.request_id,
        "spki_sha256": held.spki_sha256.hex(),
        "token": held.token_id,
        "expires": rfc3339_seconds(held.expires),
    }
    transaction.log(requester.event(Action.NODE_REQUEST, reference_of_node(held), fields=fields))
    return held


def verify_not_denied(held: HeldNode, requester: Requester) -> None:
    """Let a request pass that nobody denied.

    Raises:
        Refusal: it was denied.
    """
    if held.state is HeldState.DENIED:
        error = Denied(
            f"the request of {held.node_id} to join as a manager was denied",
            hint="ask the authority's operator; a new request needs a new key in another --dir",
        )
        event = requester.event(Action.NODE_REQUEST, reference_of_node(held), outcome=Outcome.DENIED, reason=str(error))
        raise Refusal(error, event)


def conclude(transaction: Transaction, held: HeldNode) -> None:
    """Mark an approved request as done; the caller logs the entry of the certificate that it became."""
    transaction.held_nodes.change(replace(held, state=HeldState.JOINED))


def reference_of_node(held: HeldNode) -> ObjectRef:
    """The node of a request as entries name it."""
    return ObjectRef(type="node", id=held.node_id)
