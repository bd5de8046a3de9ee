"""The registry of connections: patience, the cap, closing what was revoked."""

from __future__ import annotations

import asyncio

import pytest

from swarmsec.server.connections import Connection, Connections, Patience, State

PATIENCE = Patience(handshake=10, headers=5, idle=75)


class World:
    def __init__(self, limit: int = 10) -> None:
        self.now = 0.0
        self.ended: list[str] = []
        self.registry = Connections(limit=limit, patience=PATIENCE, clock=lambda: self.now)

    def open(self, name: str, certificate: bytes | None = None, state: State = State.IDLE) -> Connection:
        connection = self.registry.admit(name, lambda: self.ended.append(name))
        assert connection is not None
        if state is not State.HANDSHAKE:
            self.registry.establish(connection, certificate, lambda: self.ended.append(name))
            self.registry.mark(connection, state)
        return connection


@pytest.mark.parametrize(
    ("state", "seconds"), [(State.HANDSHAKE, 10), (State.READING, 5), (State.IDLE, 75), (State.BUSY, None)]
)
def test_each_state_has_its_patience(state: State, seconds: int | None) -> None:
    world = World()
    world.open("a", state=state)
    world.now = 10_000 if seconds is None else seconds - 0.1
    assert world.registry.close_overdue() == 0
    world.now += 0.1
    assert world.registry.close_overdue() == (0 if seconds is None else 1)
    assert world.ended == ([] if seconds is None else ["a"])


def test_more_bytes_of_the_same_headers_do_not_buy_time() -> None:
    world = World()
    connection = world.open("a", state=State.READING)
    world.now = 5
    assert connection.since == 0
    assert world.registry.close_overdue() == 1


def test_revocation_ends_connections_of_that_certificate_in_any_state() -> None:
    world = World()
    revoked = world.open("a", b"one", State.BUSY)
    world.open("b", b"one", State.IDLE)
    world.open("c", b"two")
    world.open("d")
    assert world.registry.close_for(revoked.certificate_sha256) == 2
    assert world.ended == ["a", "b"]
    assert len(world.registry) == 2


def test_the_empty_fingerprint_matches_nobody() -> None:
    world = World()
    world.open("a")
    assert world.registry.close_for("") == 0


def test_at_the_limit_strangers_that_wait_longest_go_first() -> None:
    world = World(limit=3)
    world.open("known", b"one")
    world.open("busy", state=State.BUSY)
    world.open("idle")
    world.open("newcomer", state=State.HANDSHAKE)
    assert world.ended == ["idle"]
    world.open("second newcomer")
    assert world.ended == ["idle", "newcomer"]


def test_at_the_limit_known_callers_that_wait_go_before_a_newcomer_is_refused() -> None:
    world = World(limit=2)
    world.open("known", b"one")
    world.open("busy", state=State.BUSY)
    world.open("newcomer", state=State.BUSY)
    assert world.ended == ["known"]
    assert world.registry.admit("late", lambda: None) is None


def test_nodes_that_keep_their_connections_leave_a_quarter_for_handshakes() -> None:
    world = World(limit=8)
    for number in range(8):
        world.open(f"node {number}", b"one")
    for number in range(4):
        world.open(f"newcomer {number}", state=State.HANDSHAKE)
    # Two of eight may shake hands beside those who wait; a third takes a place, and then they take each other's.
    assert world.ended == ["node 0", "node 1", "node 2", "newcomer 0"]


def test_the_last_known_caller_goes_but_not_those_that_have_just_asked() -> None:
    world = World(limit=320)
    for number in range(320):
        world.open(f"node {number}", b"one")
    world.open("one more", b"one")
    world.open("and one", b"one")
    assert world.ended == ["node 299", "node 300"]


def test_whoever_opens_one_after_another_takes_few_places_of_others() -> None:
    world = World(limit=320)
    for number in range(320):
        world.open(f"node {number}", b"one")
    for number in range(1000):
        world.open(f"flood {number}", b"two")
    assert sum(name.startswith("node") for name in world.ended) <= 21


def test_who_comes_in_turn_to_fewer_places_mostly_finds_theirs() -> None:
    """The longest waiting would always be the one that comes next."""
    world = World(limit=80)
    names = [f"node {number}" for number in range(100)]
    held: dict[str, Connection] = {}
    found = 0
    for _ in range(20):
        for name in names:
            if name in held and name not in world.ended:
                found += 1
                world.registry.mark(held[name], State.IDLE)
            else:
                world.ended = [each for each in world.ended if each != name]
                held[name] = world.open(name, b"one")
    assert found > len(names) * 20 * 0.7


def test_a_handshake_that_ends_well_is_a_stranger_s_no_more() -> None:
    world = World(limit=4)
    for number in range(4):
        world.open(f"node {number}", b"one")
    newcomer = world.open("newcomer", state=State.HANDSHAKE)
    world.registry.establish(newcomer, b"two", lambda: world.ended.append("newcomer"))
    for number in range(4):
        known = world.open(f"later {number}", b"three")
        assert len(world.registry) == 4
        assert known.state is State.IDLE
    assert world.ended == ["node 0", "node 1", "node 2", "node 3", "newcomer"]


def test_activity_moves_a_connection_to_the_end_of_the_line() -> None:
    world = World(limit=2)
    first = world.open("first")
    world.open("second")
    world.registry.mark(first, State.READING)
    world.open("third")
    assert world.ended == ["second"]


def test_what_is_gone_stays_gone() -> None:
    world = World()
    connection = world.open("a")
    world.registry.forget(connection)
    world.registry.forget(connection)
    world.registry.mark(connection, State.BUSY)
    assert len(world.registry) == 0
    assert world.registry.count(State.BUSY) == 0


def test_waiting_for_the_last_one() -> None:
    async def main() -> None:
        world = World()
        connections = [world.open("a"), world.open("b")]
        waiting = asyncio.create_task(world.registry.wait_until(lambda: len(world.registry) == 0))
        for connection in connections:
            await asyncio.sleep(0)
            assert not waiting.done()
            world.registry.forget(connection)
        await asyncio.wait_for(waiting, 10)

    asyncio.run(main())
