"""What agents said of their hosts, over its tables; implements the port of ``services.reports.host_ports``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from swarmsec.services.reports.host_ports import KeptHost
from swarmsec.storage.hosttables import host_contacts, host_reports

if TYPE_CHECKING:
    from swarmsec.storage.transaction import Transaction


class HostReports:
    """The newest report of each node."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def get(self, node: str) -> KeptHost | None:
        """A node's report, or None."""
        row = self._transaction.find(host_reports, node=node)
        seen = self._transaction.find(host_contacts, node=node)
        if row is None or seen is None:
            return None
        return KeptHost(node=node, facts=row["facts"], changed=row["changed"], last_seen=seen["last_seen"])

    def put(self, kept: KeptHost) -> None:
        """Keep a report instead of the node's last one."""
        row = self._transaction.find(host_reports, node=kept.node)
        if row is None:
            self._transaction.insert(host_reports, node=kept.node, facts=kept.facts, changed=kept.changed)
        else:
            self._transaction.update(host_reports, row, facts=kept.facts, changed=kept.changed)
        self.touch(kept.node, kept.last_seen)

    def touch(self, node: str, moment: int) -> None:
        """Note that a node said the same again. Unix seconds."""
        row = self._transaction.find(host_contacts, node=node)
        if row is None:
            self._transaction.insert(host_contacts, node=node, last_seen=moment)
        else:
            self._transaction.update(host_contacts, row, last_seen=moment)

    def all(self) -> Sequence[KeptHost]:
        """Every node's report, by node."""
        seen = self.contacts()
        return [
            KeptHost(node=row["node"], facts=row["facts"], changed=row["changed"], last_seen=seen.get(row["node"], 0))
            for row in self._transaction.select(host_reports)
        ]

    def contacts(self) -> Mapping[str, int]:
        """When each node's agent last reported, Unix seconds."""
        return {str(row["node"]): int(row["last_seen"]) for row in self._transaction.select(host_contacts)}
