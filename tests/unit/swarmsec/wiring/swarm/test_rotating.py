"""Leading a simulated Swarm to another root of ours, and going on where a call ended."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ca.identity import NodeRole
from swarmsec.errors import Denied, NotFound, Unavailable
from swarmsec.services.rotate_swarm_root import part_under_way, root_to_leave
from swarmsec.services.swarm_link import LinkState
from swarmsec.wiring.swarm import rotating
from swarmsec.wiring.swarm.adopting import Adoption
from swarmsec.wiring.swarm.rotating import SwarmRotation
from swarmsec.wiring.swarm.watching import StillMoving
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


def work(world: World, seconds: int = 5) -> SwarmRotation:
    return SwarmRotation(
        home=world.desk.home,
        keys=world.desk.keys,
        requester=OPERATOR,
        watcher=world.watcher(),
        timeout=timedelta(seconds=seconds),
        sleep=lambda seconds: None,
    )


def rotate(world: World, *without: str, seconds: int = 5) -> None:
    work(world, seconds).carry_out(without)


def part(world: World) -> str:
    return world.desk.home.store.read(part_under_way)


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


def test_call_by_call_without_waiting_it_comes_to_its_end(adopted: World) -> None:
    before, parts = adopted.desk.authority.bundle_pem, [part(adopted)]
    for _ in range(20):
        try:
            rotate(adopted, seconds=0)
        except StillMoving:
            parts.append(part(adopted))
            continue
        break
    assert parts[0] == part(adopted) == "done"
    assert parts[1:] == sorted(parts[1:], key=["out", "between", "in"].index)
    assert {"out", "in"} <= set(parts)
    assert adopted.manager.root_pem.encode() == adopted.desk.authority.bundle_pem != before


def test_before_the_old_root_is_given_up_it_goes_back(adopted: World) -> None:
    before = adopted.desk.authority.bundle_pem
    with pytest.raises(StillMoving):
        rotate(adopted, seconds=0)
    with pytest.raises(StillMoving):
        work(adopted, 0).call_off()
    work(adopted).call_off()
    assert adopted.manager.root_pem.encode() == adopted.desk.authority.bundle_pem == before
    assert adopted.link is not None
    assert (adopted.link.state, part(adopted)) == (LinkState.ADOPTED, "done")
    assert [entry for entry in adopted.actions() if entry[0] == "swarm.rotate"][-1] == ("swarm.rotate", "failure")
    with pytest.raises(NotFound, match="no rotation of the Swarm"):
        work(adopted).call_off()


def test_a_way_back_that_was_interrupted_can_turn_again(adopted: World) -> None:
    before = adopted.desk.authority.bundle_pem
    with pytest.raises(StillMoving):
        rotate(adopted, seconds=0)
    work(adopted)._release()
    with pytest.raises(StillMoving):
        work(adopted, 0).call_off()
    rotate(adopted)
    assert adopted.manager.root_pem.encode() == adopted.desk.authority.bundle_pem != before


def test_a_release_that_the_swarm_never_heard_of_is_dropped(adopted: World) -> None:
    refuse = adopted.manager.refuse
    refuse["/swarm/update"] = Refused(500, "context deadline exceeded")
    with pytest.raises(Unavailable):
        rotate(adopted)
    refuse.clear()
    writes = len(adopted.manager.writes)
    work(adopted).call_off()
    assert len(adopted.manager.writes) == writes
    assert part(adopted) == "done"


def test_after_the_old_root_is_given_up_there_is_no_way_back(adopted: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(rotating.SwarmRotation, "_adopt", _power_cut)
        with pytest.raises(KeyboardInterrupt):
            rotate(adopted)
    with pytest.raises(Denied, match="its key erased"):
        work(adopted).call_off()
    rotate(adopted)
    assert part(adopted) == "done"


def test_a_node_that_stands_in_the_way_back_can_be_left_out(adopted: World) -> None:
    adopted.manager.stuck = {"w1"}
    with pytest.raises(StillMoving, match="w1"):
        rotate(adopted, seconds=0)
    work(adopted).call_off(("w1",))
    assert adopted.manager.root_pem.encode() == adopted.desk.authority.bundle_pem
    assert [node["ID"] for node in adopted.manager.nodes] == ["n1", "n2"]


def _power_cut(self: SwarmRotation) -> None:
    raise KeyboardInterrupt
