"""Decide about managers that wait to join: list, approve, deny."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import replace

from swarmsec.audit.actions import Action
from swarmsec.clock import rfc3339_seconds, unix_seconds
from swarmsec.errors import Denied, NotFound
from swarmsec.services.nodes.hold_nodes import REQUEST_LIFE, is_open, reference_of_node
from swarmsec.services.nodes.node_records import HeldNode, HeldState
from swarmsec.services.ports import Transaction
from swarmsec.services.requester import Requester


def list_held_nodes(transaction: Transaction) -> Sequence[HeldNode]:
    """The open requests, the oldest first."""
    now = unix_seconds(transaction.clock)
    found = [held for held in transaction.held_nodes.all() if is_open(held, now)]
    return sorted(found, key=lambda held: (held.requested, held.request_id))


def members_of(held: HeldNode) -> dict[str, object]:
    """A request as JSON members."""
    return {
        "request": held.request_id,
        "node_id": held.node_id,
        "state": held.state.value,
        "spki_sha256": held.spki_sha256.hex(),
        "token": held.token_id,
        "address": held.address,
        "requested": rfc3339_seconds(held.requested),
        "expires": rfc3339_seconds(held.expires),
    }


def approve_node(
    transaction: Transaction, node: str, requester: Requester, *, fingerprint: bytes | None = None
) -> HeldNode:
    """Let a node in; it gets its certificate when it asks next.

    Args:
        node: its name, or the id of its request.
        fingerprint: SHA-256 of the public key that the node shows, where the operator has it.

    Returns:
        the request; one that was approved before as it is.

    Raises:
        NotFound: none of this name waits.
        Denied: another key waits under it.
    """
    held = _open_request(transaction, node)
    if fingerprint is not None and not hmac.compare_digest(fingerprint, held.spki_sha256):
        raise Denied(
            f"the key that waits as {held.node_id} has the fingerprint {held.spki_sha256.hex()}",
            hint=f"it is another node's key; refuse it with: swarmsec node deny {held.node_id}",
        )
    if held.state is HeldState.APPROVED:
        return held
    now = unix_seconds(transaction.clock)
    expires = now + int(REQUEST_LIFE.total_seconds())
    approved = replace(held, state=HeldState.APPROVED, decided=now, expires=expires)
    transaction.held_nodes.change(approved)
    fields = {"request": held.request_id, "spki_sha256": held.spki_sha256.hex()}
    transaction.log(requester.event(Action.NODE_APPROVE, reference_of_node(held), fields=fields))
    return approved


def deny_node(transaction: Transaction, node: str, requester: Requester, *, reason: str = "") -> HeldNode:
    """Refuse a node for good: its key joins as no manager. An approval that was not used yet is taken back.

    Args:
        node: as for ``approve_node``.
        reason: for the log.

    Raises:
        NotFound: none of this name waits.
    """
    held = _open_request(transaction, node)
    denied = replace(held, state=HeldState.DENIED, decided=unix_seconds(transaction.clock), reason=reason)
    transaction.held_nodes.change(denied)
    fields = {"request": held.request_id, "spki_sha256": held.spki_sha256.hex()}
    transaction.log(requester.event(Action.NODE_DENY, reference_of_node(held), reason=reason, fields=fields))
    return denied


def _open_request(transaction: Transaction, node: str) -> HeldNode:
    for held in list_held_nodes(transaction):
        if node in {held.node_id, held.request_id}:
            return held
    raise NotFound(f"no request of {node!r:.80} waits for approval", hint="list them with: swarmsec node pending")
