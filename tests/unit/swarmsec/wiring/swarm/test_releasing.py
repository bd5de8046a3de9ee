"""Releasing a simulated Swarm, and every end that leaves work open."""

from __future__ import annotations

from datetime import timedelta

import pytest

from swarmsec.errors import Denied, NotFound, Unavailable, UsageProblem
from swarmsec.services.swarm.swarm_link import LinkState
from swarmsec.wiring.swarm.releasing import ReleaseCheck, Releasing, look_at_release
from tests.peers.simulated_manager import Refused
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.wiring.swarm.conftest import World

INTENT, DONE, FAILED = (("swarm.release", outcome) for outcome in ("intent", "success", "failure"))
NO_CROSS = "rpc error: code = Internal desc = unable to generate a cross-signed certificate for root rotation"


@pytest.fixture
def adopted(world: World) -> World:
    """A Swarm on our root."""
    world.issue_all()
    world.adopt()
    return world


def look(world: World) -> ReleaseCheck:
    return look_at_release(world.desk.home, world.swarm)


def release(world: World, found: ReleaseCheck | None = None, seconds: int = 60) -> None:
    work = Releasing(home=world.desk.home, swarm=world.swarm, sleep=lambda seconds: None)
    work.carry_out(found or look(world), OPERATOR, world.watcher(), timedelta(seconds=seconds))


def state(world: World) -> LinkState | None:
    return world.link.state if world.link else None


def test_the_swarm_gets_a_root_of_its_own_and_forgets_us(adopted: World) -> None:
    ours = adopted.desk.authority.bundle_pem.decode()
    release(adopted)
    first, last = adopted.manager.writes[1:]
    assert first["CAConfig"]["SigningCAKey"].startswith("-----BEGIN EC PRIVATE KEY-----")
    assert first["CAConfig"]["ExternalCAs"][0]["CACert"] == ours, "we are still to sign the Swarm's root"
    assert last["CAConfig"]["ExternalCAs"] == []
    assert last["MemberOfALaterVersion"] == {"kept": [1, 2.5, None]}
    assert adopted.manager.root_pem not in (ours, "")
    assert list(adopted.desk.states().values()).count("revoked") == 3
    assert adopted.actions()[-2:] == [INTENT, DONE]
    assert state(adopted) is LinkState.RELEASED
    with pytest.raises(NotFound, match="has not adopted a Swarm"):
        look(adopted)


def test_the_key_is_kept_nowhere(adopted: World) -> None:
    release(adopted)
    key = adopted.manager.writes[1]["CAConfig"]["SigningCAKey"].splitlines()[1]
    database = (adopted.desk.home.path / "state.db").read_bytes()
    wal = adopted.desk.home.path / "state.db-wal"
    assert key.encode() not in database + (wal.read_bytes() if wal.exists() else b"")


def test_looking_changes_nothing_and_what_stands_against_it_is_told(adopted: World) -> None:
    assert look(adopted).blockers == []
    adopted.server.close()
    adopted.manager.nodes[0]["Status"]["State"] = "down"
    assert [finding.check for finding in look(adopted).blockers] == ["nodes", "server"]
    with pytest.raises(Denied, match="2 of the checks stand against it: m1 is not ready"):
        release(adopted)
    assert (len(adopted.manager.writes), state(adopted)) == (1, LinkState.ADOPTED)


def test_a_leader_that_refuses_leaves_the_swarm_with_us(adopted: World) -> None:
    found = look(adopted)
    adopted.manager.refuse["/swarm/update"] = Refused(500, NO_CROSS)
    with pytest.raises(Denied, match="cross-signed"):
        release(adopted, found)
    assert (adopted.actions()[-1], state(adopted)) == (FAILED, LinkState.ADOPTED)
    adopted.manager.refuse["/swarm/update"] = Refused(400, "no")
    with pytest.raises(UsageProblem):
        release(adopted, found)
    assert state(adopted) is LinkState.ADOPTED


def test_an_engine_that_goes_away_leaves_the_work_open_and_repeating_ends_it(adopted: World) -> None:
    found = look(adopted)
    adopted.manager.refuse["/swarm/update"] = Refused(500, "context deadline exceeded")
    with pytest.raises(Unavailable):
        release(adopted, found)
    assert state(adopted) is LinkState.RELEASING
    adopted.manager.refuse.clear()
    release(adopted)
    assert (state(adopted), adopted.actions()[-1]) == (LinkState.RELEASED, DONE)
    assert adopted.desk.home.store.read(lambda transaction: list(transaction.intents.all())) == []


def test_a_rotation_that_goes_on_is_followed(adopted: World) -> None:
    adopted.manager.stuck = {"w1"}
    with pytest.raises(Unavailable, match="waiting for w1"):
        release(adopted, seconds=3)
    adopted.manager.stuck = set()
    found = look(adopted)
    assert (found.is_under_way, found.blockers) == (True, [])
    release(adopted, found)
    assert len(adopted.manager.writes) == 3
    assert state(adopted) is LinkState.RELEASED


def test_a_released_swarm_can_be_adopted_again(adopted: World) -> None:
    release(adopted)
    adopted.issue_all()
    adopted.adopt()
    assert state(adopted) is LinkState.ADOPTED
