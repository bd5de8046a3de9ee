"""A command that watches a rotation looks seldom while little happens, and often when the last nodes come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from swarmsec.services.ports import Transaction
from swarmsec.services.rotation.rotate_authority import LEASE, LEASE_SECONDS, Held
from swarmsec.services.rotation.rotation_status import RotationStatus
from swarmsec.wiring.ca.rootrotation import LOOK_SECONDS, SHORTEST_LOOK_SECONDS, Watch, watch
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.conftest import desk
from tests.unit.swarmsec.services.desk import Desk
from tests.unit.swarmsec.services.rotation.rotating import Follower, begin, enrol, newest, step

__all__ = ["desk"]


@dataclass
class World:
    """Time goes on only while the command waits; nodes come meanwhile, one after the other."""

    desk: Desk
    coming: Iterator[Follower]
    seconds_each: float
    now: float = 0.0
    pauses: list[float] = field(default_factory=list)
    came: int = 0
    last_came: float = 0.0
    tries: list[object] = field(default_factory=list)
    """What somebody else got who tried to do the steps, at each pause."""

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        self.desk.move_clock(timedelta(seconds=self.now))
        self.tries.append(step(self.desk, "another"))
        while (self.came + 1) * self.seconds_each <= self.now:
            self.came += 1
            node = next(self.coming, None)
            if node is not None:
                node.follow()
                self.last_came = self.came * self.seconds_each

    def watch(self, timeout: float | None = None) -> RotationStatus:
        watched = Watch(timeout=timeout, tell=lambda _: None, sleep=self.sleep, monotonic=lambda: self.now)
        return watch(self.desk.home, self.desk.keys, OPERATOR, newest(self.desk), watched)

    def fence(self) -> int:
        """How often the turn changed hands."""

        def read(transaction: Transaction) -> int:
            lease = transaction.leases.find(LEASE)
            return 0 if lease is None else lease.fence

        return self.desk.home.store.read(read)


def test_the_end_is_seen_soon_after_the_last_node_and_looks_are_few_before(desk: Desk) -> None:
    nodes = [enrol(desk, f"n{number}") for number in range(20)]
    begin(desk)
    # In the first round they say that they trust both roots, in the second they get their certificates.
    world = World(desk, iter([*nodes, *nodes]), seconds_each=0.2)

    status = world.watch()

    assert status.record.phase == "retired"
    assert world.now - world.last_came <= 2 * SHORTEST_LOOK_SECONDS
    assert max(world.pauses) == LOOK_SECONDS
    assert len(world.pauses) < 3 * world.now / LOOK_SECONDS


def test_while_nobody_comes_it_looks_twice_a_second_and_keeps_its_turn(desk: Desk) -> None:
    enrol(desk, "n1")
    begin(desk)
    world = World(desk, iter(()), seconds_each=1.0)

    status = world.watch(timeout=3.0 * LEASE_SECONDS)

    assert status.record.phase == "distributing"
    assert set(world.pauses) == {LOOK_SECONDS}
    assert [blocker.node for blocker in status.blockers] == ["n1"]
    assert all(isinstance(tried, Held) for tried in world.tries)
    assert world.fence() == 1


def test_no_pause_is_shorter_than_the_shortest(desk: Desk) -> None:
    nodes = [enrol(desk, f"n{number}") for number in range(4)]
    begin(desk)
    world = World(desk, iter([*nodes, *nodes]), seconds_each=0.001)

    assert world.watch().record.phase == "retired"
    assert min(world.pauses) >= SHORTEST_LOOK_SECONDS
