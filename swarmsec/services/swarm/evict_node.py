"""Taking a node out of a Swarm for good: what is kept and logged of it. Docker removes it; here it gets nothing more.

Docker accepts a certificate until it expires and asks nobody. A node that was removed is kept out by its id, as long
as the Swarm remembers it; its certificates count on for whatever only looks at the signature. So they are listed, with
the one remedy there is: another root.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ca.revocation import Reason
from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.canonical import encode_canonical
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import unix_seconds
from swarmsec.errors import NotFound
from swarmsec.services.ca.revoke_certificates import revoke_certificates
from swarmsec.services.ports import Transaction
from swarmsec.services.records import CertificateRecord, CertificateStatus, Intent
from swarmsec.services.requester import Requester
from swarmsec.services.swarm.swarm_records import Eviction, SwarmNode

ACTION = Action.SWARM_EVICT.value


def find_node(nodes: Sequence[SwarmNode], wanted: str) -> SwarmNode | None:
    """The node with this id or host name; None where there is none.

    Raises:
        NotFound: several have this host name.
    """
    for node in nodes:
        if node.id == wanted:
            return node
    named = [node for node in nodes if node.hostname == wanted]
    if len(named) > 1:
        ids = ", ".join(node.id for node in named)
        raise NotFound(f"{len(named)} nodes are called {wanted!r:.80}", hint=f"name one by its id: {ids}")
    return named[0] if named else None


def begin_eviction(
    transaction: Transaction, node_id: str, hostname: str, requester: Requester, request_id: str, *, reason: str
) -> Sequence[CertificateRecord]:
    """Give the node nothing any more, revoke what it has, and put on record that Docker is to remove it.

    Returns:
        its certificates that Docker believes: they have not expired, and stand under the present root.

    Raises:
        NotFound: neither the Swarm nor we have ever known it.
    """
    asking = replace(requester, request_id=request_id)
    now = unix_seconds(transaction.clock)
    known = transaction.certificates.by_subject(node_id)
    if not (known or hostname):
        raise NotFound(f"no node {node_id!r:.80}", hint="list them with: swarmsec swarm status")
    if transaction.evictions.get(node_id) is None:
        transaction.evictions.add(Eviction(node_id=node_id, hostname=hostname, reason=reason, evicted=now))
    data = encode_canonical({"node_id": node_id}).decode()
    transaction.intents.open(Intent(request_id=request_id, action=ACTION, started=now, data=data))
    target = ObjectRef(type="node", id=node_id, name=hostname)
    transaction.log(asking.event(Action.SWARM_EVICT, target, outcome=Outcome.INTENT, reason=reason))
    if any(record.status is not CertificateStatus.REVOKED for record in known):
        revoke_certificates(transaction, node_id, asking, why=Reason.PRIVILEGE_WITHDRAWN, reason="evicted")
    active = transaction.authorities.active()
    present = None if active is None else active.generation
    return [record for record in known if record.not_after > now and record.generation == present]


def conclude_eviction(
    transaction: Transaction, node_id: str, requester: Requester, request_id: str, *, failure: str = ""
) -> None:
    """Put on record how Docker's part went; the node gets nothing from us whatever that was."""
    transaction.intents.close(request_id)
    asking = replace(requester, request_id=request_id)
    outcome = Outcome.FAILURE if failure else Outcome.SUCCESS
    target = ObjectRef(type="node", id=node_id)
    transaction.log(asking.event(Action.SWARM_EVICT, target, outcome=outcome, reason=failure))
