"""Evicting nodes: they are out of the Swarm, and get nothing any more."""

from __future__ import annotations

import pytest

from ca.identity import NodeRole
from swarmsec.errors import Denied, NotFound, Unavailable, UsageProblem
from swarmsec.wiring.swarm.evicting import Evicted, evict
from tests.peers.simulated_manager import Refused
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import new_key
from tests.unit.swarmsec.wiring.swarm.conftest import World


def run(world: World, wanted: str) -> Evicted:
    return evict(world.desk.home, world.swarm, wanted, OPERATOR, reason="stolen", sleep=lambda seconds: None)


@pytest.mark.parametrize(("wanted", "node_id"), [("w1", "n3"), ("n3", "n3"), ("m2", "n2")])
def test_a_node_is_removed_revoked_and_refused(world: World, wanted: str, node_id: str) -> None:
    world.issue_all()
    done = run(world, wanted)
    assert (done.node_id, len(done.unexpired)) == (node_id, 1)
    assert node_id not in [node["ID"] for node in world.manager.nodes]
    assert list(world.desk.states().values()).count("revoked") == 1
    for role in NodeRole:
        with pytest.raises(Denied, match=f"node {node_id} was evicted"):
            world.desk.issue(role, node_id, new_key())
    assert world.desk.last_entry()["outcome"] == "denied"
    assert world.actions() == [("swarm.evict", "intent"), ("swarm.evict", "success")]


def test_one_that_docker_no_longer_knows_is_evicted_too(world: World) -> None:
    world.issue_all()
    world.swarm.engine.remove_node("n3")
    assert run(world, "n3").node is None
    with pytest.raises(Denied, match="was evicted"):
        world.desk.issue(NodeRole.WORKER, "n3", new_key())


def test_nobody_knows_it(world: World) -> None:
    with pytest.raises(NotFound, match="no node 'w9'"):
        run(world, "w9")
    assert world.actions() == []


def test_a_host_name_of_several_is_not_guessed(world: World) -> None:
    world.manager.nodes[1]["Description"]["Hostname"] = "w1"
    with pytest.raises(NotFound, match="2 nodes are called 'w1'"):
        run(world, "w1")


def test_a_node_of_another_swarm_is_left_alone(world: World) -> None:
    world.manager.cluster_id = "another"
    with pytest.raises(UsageProblem, match="got one of another at"):
        run(world, "w1")
    assert len(world.manager.nodes) == 3
    assert world.actions() == []


def test_docker_refusing_leaves_the_node_without_certificates_and_can_be_repeated(world: World) -> None:
    world.issue_all()
    world.manager.refuse["/nodes/n3"] = Refused(500, "rpc error: code = Unknown desc = no")
    with pytest.raises(Unavailable, match="no"):
        run(world, "w1")
    with pytest.raises(Denied, match="was evicted"):
        world.desk.issue(NodeRole.WORKER, "n3", new_key())
    assert ("swarm.evict", "failure") in world.actions()
    world.manager.refuse.clear()
    run(world, "w1")
    assert world.actions()[-1] == ("swarm.evict", "success")
    assert world.desk.home.store.read(lambda transaction: list(transaction.intents.all())) == []


def test_a_manager_that_cannot_be_demoted_stays_and_is_named(world: World) -> None:
    world.issue_all()
    world.manager.raw["/nodes/n2/update"] = b""
    with pytest.raises(Unavailable, match="m2 is still a manager"):
        run(world, "m2")
    assert "n2" in [node["ID"] for node in world.manager.nodes]
