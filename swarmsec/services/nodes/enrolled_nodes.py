"""Who has to follow when the root changes: every node, driver and agent with a certificate that counts.

Nodes of a Swarm that uses this authority as its external CA do not follow us: SwarmKit moves them, in a rotation of its
own. Which they are is told by their newest certificate, which one of their managers asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from swarmsec.audit.actions import Action, Outcome
from swarmsec.clock import unix_seconds
from swarmsec.services.nodes.renew_node import renews_itself
from swarmsec.services.ports import Transaction
from swarmsec.services.records import CertificateRecord, CertificateStatus

_BY_MANAGER: Final = "swarm-manager:"
_ISSUE: Final = f'"{Action.CA_ISSUE}"'.encode()
"""In every entry of an issue, for entries are in canonical form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """The nodes with a certificate that counts, by who moves them to another root."""

    own: frozenset[str]
    """They ask us themselves: ``node join``, ``access enrol`` and ``node renew``."""
    of_swarm: frozenset[str]
    """A manager asks for them."""


def enrolled_nodes(transaction: Transaction) -> Enrolled:
    """Every enrolled node; one whose certificate has ended comes back with a token, and is waited for by nobody."""
    now = unix_seconds(transaction.clock)
    newest = {record.subject_id: record for record in transaction.certificates.unexpired(now) if _counts(record)}
    asked_for = _asked_for_by_managers(transaction, newest.values())
    of_swarm = frozenset(node for node, record in newest.items() if record.serial in asked_for)
    return Enrolled(own=frozenset(newest) - of_swarm, of_swarm=of_swarm)


def _counts(record: CertificateRecord) -> bool:
    return renews_itself(record) and record.status is not CertificateStatus.REVOKED


def _asked_for_by_managers(transaction: Transaction, records: Iterable[CertificateRecord]) -> set[str]:
    """Serials among these that were issued at the signing endpoint, as their entries say.

    One without an entry counts as a node of our own: then a rotation waits for it, and ends for nobody too early.
    """
    wanted = {record.serial for record in records}
    found: set[str] = set()
    for stored in transaction.log_entries.newest_first() if wanted else ():
        if not wanted:
            break
        if _ISSUE not in stored.data:
            continue
        entry = json.loads(stored.data)
        if entry["action"] != Action.CA_ISSUE or entry["outcome"] != Outcome.SUCCESS:
            continue
        serial = entry["object"].get("id")
        if serial in wanted:
            wanted.discard(serial)
            if str(entry.get("fields", {}).get("via", "")).startswith(_BY_MANAGER):
                found.add(serial)
    return found
