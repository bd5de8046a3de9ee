"""Who has to follow a rotation, and who does not."""

from __future__ import annotations

from datetime import timedelta

from ca.identity import NodeIdentity, NodeRole
from swarmsec.services.ca.issue_for_nodes import issue_for_node
from swarmsec.services.ca.revoke_certificates import revoke_certificates
from swarmsec.services.nodes.enrolled_nodes import enrolled_nodes
from swarmsec.services.records import CertificateStatus
from swarmsec.services.requester import SERVICE
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk, new_key, spki_of
from tests.unit.swarmsec.services.rotation.rotating import enrol


def test_nodes_of_a_swarm_are_told_apart(desk: Desk) -> None:
    enrol(desk, "a")
    desk.write(
        lambda transaction, authority: issue_for_node(
            transaction,
            authority,
            NodeIdentity(cluster_id=authority.cluster_id, role=NodeRole.WORKER, node_id="s"),
            spki_of(new_key()),
            SERVICE,
            via="swarm-manager:m",
        )
    )

    enrolled = desk.home.store.read(enrolled_nodes)

    assert enrolled.own == {"a"}
    assert enrolled.of_swarm == {"s"}


def test_who_is_revoked_or_has_expired_is_waited_for_by_nobody(desk: Desk) -> None:
    enrol(desk, "a")
    enrol(desk, "b")
    desk.home.store.write(lambda transaction: revoke_certificates(transaction, "a", OPERATOR))
    assert desk.home.store.read(enrolled_nodes).own == {"b"}
    desk.move_clock(timedelta(days=91))
    assert desk.home.store.read(enrolled_nodes).own == frozenset()
    assert CertificateStatus.REVOKED in desk.states().values()
