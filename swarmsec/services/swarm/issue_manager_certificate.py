"""A manager's certificate for ourselves, to look at a Swarm's control API once, where somebody asked for exactly that.

It rules the Swarm for as long as Docker believes it, which is an hour. So it is for a key that lives in one process,
and it is revoked in the transaction that issues it: our own endpoints never take it. Its name is no node's.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from ca.identity import NodeIdentity, NodeRole
from swarmsec.services.ca.authority import Authority
from swarmsec.services.ca.issue_for_nodes import issue_for_node
from swarmsec.services.ca.revoke_certificates import revoke_certificates
from swarmsec.services.ports import Transaction
from swarmsec.services.records import CertificateRecord
from swarmsec.services.requester import Requester
from swarmsec.services.swarm.swarm_link import require_link

LIFETIME: Final = timedelta(hours=1)
NAME: Final = "swarmsec-status"
_RANDOM_BYTES: Final = 8
_WHY: Final = "for one look at the control API; Docker believes it until it expires"


def issue_manager_certificate(
    transaction: Transaction, authority: Authority, spki_der: bytes, requester: Requester
) -> CertificateRecord:
    """Issue it, for an hour.

    Args:
        spki_der: of a key that was made for this.

    Raises:
        NotFound: this home has not adopted a Swarm.
        Refusal: the key has a certificate already.
    """
    require_link(transaction)
    name = f"{NAME}-{transaction.clock.random(_RANDOM_BYTES).hex()}"
    identity = NodeIdentity(cluster_id=authority.cluster_id, role=NodeRole.MANAGER, node_id=name)
    brief = replace(authority, lifetime=LIFETIME)
    record = issue_for_node(transaction, brief, identity, spki_der, requester, via="swarm status --issue-manager-cert")
    revoke_certificates(transaction, name, requester, reason=_WHY)
    return record
