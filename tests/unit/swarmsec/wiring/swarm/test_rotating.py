"""Leading a simulated Swarm to another root of ours, and going on where a call ended."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ca.identity import NodeRole
from swarmsec.errors import Denied, Unavailable
from swarmsec.services.rotate_swarm_root import root_to_leave
from swarmsec.services.swarm_link import LinkState
from swarmsec.wiring.swarm import rotating
from swarmsec.wiring.swarm.adopting import Adoption
from swarmsec.wiring.swarm.rotating import SwarmRotation
from tests.peers.simulated_manager import Refused
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import new_key
from tests.unit.swarmsec.wiring.swarm.conftest import NODES, World


@pytest.fixture
def adopted(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A Swarm on our root, whose leader asks for certificates as soon as it is adopted."""
    world.issue_all()
    world.adopt()
    begin = Adoption._begin

    def begin_and_issue(self: Adoption, *arguments: object) -> None:
        begin(self, *arguments)  # type: ignore[arg-type]  # handed on as they came
        for node, role in NODES.items():
            if node in {item["ID"] for item in world.manager.nodes}:
                world.desk.issue(role, node, new_key())

    monkeypatch.setattr(Adoption, "_begin", begin_and_issue)
    return world


def rotate(world: World, *without: str, seconds: int = 5) -> None:
    SwarmRotation(
        home=world.desk.home,
        keys=world.desk.keys,
        requester=OPERATOR,
        watcher=world.watcher(),
        timeout=timedelta(seconds=seconds),
        sleep=lambda seconds: None,
    ).carry_out(without)


def test_the_swarm_is_on_another_root_of_ours(adopted: World) -> None:
    before = adopted.desk.authority.bundle_pem.decode()
    rotate(adopted)
    after = adopted.desk.authority.bundle_pem.decode()
    assert after != before
    assert adopted.manager.root_pem == after
    authorities = adopted.manager.spec["CAConfig"]["ExternalCAs"]
    assert [item["CACert"] for item in authorities] == [after]
    assert adopted.link is not None
    assert adopted.link.state is LinkState.ADOPTED
    outcomes = [entry for entry in adopted.actions() if entry[0] == "swarm.rotate"]
    assert outcomes == [("swarm.rotate", "intent"), ("swarm.rotate", "success")]


def test_a_node_that_is_down_is_named_and_can_be_left_out(adopted: World) -> None:
    adopted.manager.nodes[2]["Status"]["State"] = "down"
    adopted.manager.stuck = {"w1"}
    with pytest.raises(Denied, match="w1 is not ready") as caught:
        rotate(adopted)
    assert "--finish-without NODE" in str(caught.value.hint)
    assert adopted.desk.home.store.read(root_to_leave) is None
    rotate(adopted, "w1")
    assert [node["ID"] for node in adopted.manager.nodes] == ["n1", "n2"]
    with pytest.raises(Denied, match="was evicted"):
        adopted.desk.issue(NodeRole.WORKER, "n3", new_key())


def test_it_goes_on_in_the_first_move(adopted: World) -> None:
    adopted.manager.stuck = {"w1"}
    with pytest.raises(Unavailable, match="waiting for w1"):
        rotate(adopted, seconds=1)
    adopted.manager.stuck = set()
    leaving = adopted.desk.home.store.read(root_to_leave)
    rotate(adopted)
    assert leaving is not None
    assert adopted.manager.root_pem == adopted.desk.authority.bundle_pem.decode()


def test_it_goes_on_between_the_moves(adopted: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def power_cut(self: SwarmRotation) -> None:
        raise KeyboardInterrupt

    for name in ("_rotate_own", "_adopt"):
        with monkeypatch.context() as patch:
            patch.setattr(rotating.SwarmRotation, name, power_cut)
            with pytest.raises(KeyboardInterrupt):
                rotate(adopted)
    assert adopted.manager.root_pem != adopted.desk.authority.bundle_pem.decode()
    rotate(adopted)
    assert adopted.manager.root_pem == adopted.desk.authority.bundle_pem.decode()


def test_it_goes_on_in_the_second_move(adopted: World) -> None:
    writes = iter(range(100))

    def away_at_the_fourth() -> None:
        if next(writes) == 3:
            raise Refused(500, "context deadline exceeded")
        adopted.manager.before_write = away_at_the_fourth

    adopted.manager.before_write = away_at_the_fourth
    with pytest.raises(Unavailable):
        rotate(adopted)
    adopted.manager.before_write = None
    rotate(adopted)
    assert adopted.manager.root_pem == adopted.desk.authority.bundle_pem.decode()
    assert adopted.desk.home.store.read(root_to_leave) is None
