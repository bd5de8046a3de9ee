"""A Swarm's nodes beside our table: what is known is shown, and what is not is said to be unknown."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ca.identity import NodeRole
from swarmsec.services.ca.revoke_certificates import revoke_certificates
from swarmsec.services.swarm.swarm_status import NodeStatus, SwarmStatus
from swarmsec.wiring.swarm.reporting import report_swarm
from tests.peers.simulated_manager import tls_info
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import new_key
from tests.unit.swarmsec.wiring.swarm.conftest import World


@pytest.fixture
def adopted(world: World) -> World:
    """A Swarm on our root."""
    world.issue_all()
    world.adopt()
    return world


def status(world: World) -> SwarmStatus:
    return report_swarm(world.desk.home, world.swarm)


def node(world: World, name: str) -> NodeStatus:
    (found,) = [item for item in status(world).nodes if item.node.hostname == name]
    return found


def test_every_node_has_its_certificate(adopted: World) -> None:
    found = status(adopted)
    members = found.members()
    assert (members["ours"], members["rotation_in_progress"], members["autolock"]) == (True, False, False)
    assert members["external_cas"] == [{"url": adopted.url.text, "answers": True}]
    serials = adopted.desk.states()
    assert {item.source for item in found.nodes} == {"issued"}
    assert [item.members()["serial"] in serials for item in found.nodes] == [True] * 3
    assert all(item.is_converged and not item.is_overdue for item in found.nodes)
    assert found.obsolete == []


def test_before_it_is_ours_nothing_is_guessed(world: World) -> None:
    world.issue_all()
    found = status(world)
    assert (found.is_ours, {item.source for item in found.nodes}) == (False, {"none"})
    assert [item.members()["not_after"] for item in found.nodes] == [None] * 3


def test_a_node_under_another_issuer_is_not_given_our_dates(adopted: World) -> None:
    other = adopted.manager.nodes[0]
    foreign = tls_info(adopted.manager.root_pem, _foreign())
    other["Description"]["TLSInfo"] = foreign
    found = node(adopted, "m1")
    assert (found.source, found.certificate, found.is_converged) == ("none", None, False)


def test_a_server_that_is_away_is_told(adopted: World) -> None:
    adopted.server.close()
    assert status(adopted).answers == [False]


def test_an_address_that_cannot_be_read_is_not_tried(adopted: World) -> None:
    adopted.manager.spec["CAConfig"]["ExternalCAs"][0]["URL"] = "https://a b"
    assert status(adopted).answers == [None]


def test_overdue_and_expired_are_told_apart(adopted: World) -> None:
    adopted.desk.move_clock(timedelta(days=80))
    assert (node(adopted, "w1").is_overdue, node(adopted, "w1").is_expired) == (True, False)
    adopted.desk.move_clock(timedelta(days=95))
    assert (node(adopted, "w1").is_overdue, node(adopted, "w1").is_expired) == (True, True)


def test_a_demoted_managers_certificate_is_named(adopted: World) -> None:
    adopted.swarm.engine.change_node("n2", role="worker")
    (old,) = status(adopted).obsolete
    assert (old.record.subject_id, old.reason) == ("n2", "demoted")
    adopted.desk.issue(NodeRole.WORKER, "n2", new_key())
    assert [item.reason for item in status(adopted).obsolete] == ["demoted"]
    assert node(adopted, "m2").source == "issued"


def test_a_removed_and_a_renewed_managers_certificate_are_named(adopted: World) -> None:
    adopted.desk.issue(NodeRole.MANAGER, "n1", new_key())
    assert [(item.hostname, item.reason) for item in status(adopted).obsolete] == [("m1", "replaced")]
    adopted.swarm.engine.remove_node("n2")
    assert {item.reason for item in status(adopted).obsolete} == {"replaced", "removed"}
    adopted.desk.move_clock(timedelta(days=100))
    assert status(adopted).obsolete == []


def test_a_revoked_certificate_is_not_shown_as_the_nodes(adopted: World) -> None:
    adopted.desk.home.store.write(lambda transaction: revoke_certificates(transaction, "n3", OPERATOR))
    assert node(adopted, "w1").source == "none"


def _foreign() -> str:
    from cryptography.hazmat.primitives.asymmetric import ec

    from tests.unit.swarmsec.wiring.ca.foreignroots import build_root

    return build_root(ec.generate_private_key(ec.SECP256R1())).decode()
