"""What a server does for a Swarm that was left between two roots: it goes on, and commands go first."""

from __future__ import annotations

from typing import Any, cast

import pytest

from swarmsec.errors import Unavailable
from swarmsec.services.swarm.rotate_swarm_root import part_under_way
from swarmsec.storage.groupwriter import GroupWriter
from swarmsec.wiring.serving import swarmwork
from swarmsec.wiring.serving.rounds import WrittenStore
from swarmsec.wiring.serving.swarmwork import SwarmWork
from swarmsec.wiring.swarm.rotationturn import rotation_turn
from swarmsec.wiring.swarm.watching import StillMoving
from tests.peers.simulated_manager import Refused
from tests.unit.swarmsec.wiring.swarm.conftest import World, world
from tests.unit.swarmsec.wiring.swarm.test_rotating import adopted, rotate

__all__ = ["adopted", "world"]


class Server:
    """A server's work, round by round, at a time that a test moves."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world
        self.said: list[str] = []
        self.now = 1000.0
        writer: Any = None
        self.work = SwarmWork(world.desk.home, writer, world.desk.keys, self.said.append)
        monkeypatch.setattr(swarmwork, "monotonic", lambda: self.now)
        monkeypatch.setattr(self.work, "_sleep", lambda seconds: None)

    def round(self) -> str:
        store: Any = self.world.desk.home.store
        self.work.work(store)
        return self.world.desk.home.store.read(part_under_way)


@pytest.fixture
def server(adopted: World, monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(adopted, monkeypatch)


def test_without_a_rotation_the_engine_is_not_asked(server: Server) -> None:
    server.world.manager.stop()
    assert server.round() == "done"
    assert server.said == []


def test_what_was_left_comes_to_its_end(server: Server) -> None:
    with pytest.raises(StillMoving):
        rotate(server.world, seconds=0)
    for _ in range(50):
        if server.round() == "done":
            break
    assert server.world.manager.root_pem == server.world.desk.authority.bundle_pem.decode()
    assert server.said[-1].startswith("the Swarm's rotation is over")
    outcomes = [outcome for action, outcome in server.world.actions() if action == "swarm.rotate"]
    assert outcomes == ["intent", "success"]


def test_a_command_that_is_at_it_goes_first(server: Server) -> None:
    with pytest.raises(StillMoving):
        rotate(server.world, seconds=0)
    store = server.world.desk.home.store
    with rotation_turn(store, sleep=lambda seconds: None, seconds=0, says=server.said.append):
        before = len(server.world.manager.writes)
        for _ in range(5):
            assert server.round() == "out"
        assert len(server.world.manager.writes) == before
    assert server.said == []


def test_what_stands_against_it_is_told_once_and_tried_again_later(server: Server) -> None:
    with pytest.raises(StillMoving):
        rotate(server.world, seconds=0)
    server.world.manager.refuse["/info"] = Refused(500, "context deadline exceeded")
    for _ in range(3):
        server.round()
    assert len(server.said) == 1
    assert server.said[0].startswith("warning: the Swarm's rotation does not go on: ")
    server.world.manager.refuse.clear()
    assert server.round() == "out"
    server.now += swarmwork.RETRY_SECONDS
    for _ in range(50):
        if server.round() == "done":
            break
    assert server.world.manager.root_pem == server.world.desk.authority.bundle_pem.decode()


def test_a_server_that_stops_leaves_it_to_the_next(server: Server) -> None:
    with pytest.raises(StillMoving):
        rotate(server.world, seconds=0)
    while server.world.manager.issuer_pem != server.world.manager.root_pem:
        server.world.swarm.engine.nodes()
    desk, writer = server.world.desk, cast(GroupWriter, None)
    ending = SwarmWork(desk.home, writer, desk.keys, server.said.append)
    ending._rounds.stopping.set()
    for _ in range(5):
        ending.work(cast(WrittenStore, desk.home.store))
        assert desk.home.store.read(part_under_way) != "done"
    assert server.said == []
    for _ in range(50):
        if server.round() == "done":
            break
    assert server.world.manager.root_pem == desk.authority.bundle_pem.decode()
    assert desk.home.store.read(part_under_way) == "done"


def test_an_engine_that_is_away_is_no_end(server: Server) -> None:
    with pytest.raises(StillMoving):
        rotate(server.world, seconds=0)
    server.world.manager.stop()
    assert server.round() != "done"
    assert "warning: the Swarm's rotation does not go on" in server.said[0]
    with pytest.raises(Unavailable):
        rotate(server.world, seconds=0)
