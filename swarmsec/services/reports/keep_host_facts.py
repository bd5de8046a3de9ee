"""Keeping what an agent says of its host: the newest facts of each node, with an entry whenever they change.

An agent speaks for the node in its certificate and for no other. The entry holds the digest of the facts, so that a
report can show later that it was made from exactly these. Facts that come again unchanged are noted without an entry.
"""

from __future__ import annotations

from collections.abc import Sequence

from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import unix_seconds
from swarmsec.errors import UsageProblem
from swarmsec.reports.facts import HostFact
from swarmsec.reports.host_report import digest_of, parse_host_report
from swarmsec.services.reports.host_ports import HostTransaction, KeptHost
from swarmsec.services.requester import Requester


def keep_host_facts(transaction: HostTransaction, node: str, data: bytes, requester: Requester) -> bool:
    """Keep the facts of a node; True if they are not those that were kept.

    Args:
        transaction: writing.
        node: the scope of the agent's role.
        data: as the agent sent them.
        requester: the agent.

    Raises:
        UsageProblem: they are no facts in their one form, or no node is named.
    """
    if not node:
        raise UsageProblem("expected an agent of one node, got one that names none")
    parse_host_report(data)
    now = unix_seconds(transaction.clock)
    kept = transaction.hosts.get(node)
    if kept is not None and kept.facts == data:
        transaction.hosts.touch(node, now)
        return False
    transaction.hosts.put(KeptHost(node=node, facts=data, changed=now, last_seen=now))
    target = ObjectRef(type="node", id=node)
    transaction.log(requester.event(Action.AGENT_REPORT, target, fields={"sha256": digest_of(data)}))
    return True


def host_facts(transaction: HostTransaction) -> Sequence[HostFact]:
    """The newest facts of every node that has an agent, for a report; what cannot be read any more holds the reason."""
    return tuple(_fact(kept) for kept in transaction.hosts.all())


def _fact(kept: KeptHost) -> HostFact:
    try:
        report, problem = parse_host_report(kept.facts), ""
    except UsageProblem as error:
        # Kept by another version of swarmsec; the agent's next report replaces it.
        report, problem = None, str(error)
    return HostFact(
        node=kept.node, last_seen=kept.last_seen, sha256=digest_of(kept.facts), report=report, problem=problem
    )
