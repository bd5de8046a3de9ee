"""Autolock: the key is kept, the one before it as well, and neither is shown."""

from __future__ import annotations

import pytest

from swarmsec.errors import AlreadyExists, Denied, NotFound, Unavailable
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.swarm.lock_swarm import kept_unlock_keys, reveal_unlock_key
from swarmsec.wiring.swarm import locking
from tests.peers import simulated_manager
from tests.peers.simulated_manager import UNLOCK_KEY, Refused
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.wiring.swarm.conftest import World


def lock(world: World) -> bool:
    return locking.lock(world.desk.home, world.desk.keys, world.swarm, OPERATOR)


def kept(world: World) -> list[bytes]:
    keys = world.desk.home.store.read(lambda transaction: kept_unlock_keys(transaction, world.desk.keys))
    return [key.reveal() for key in keys]


def test_on_keeps_the_key_and_is_repeatable(world: World) -> None:
    assert lock(world) is True
    assert kept(world) == [UNLOCK_KEY.encode()]
    assert lock(world) is False
    assert len(world.manager.writes) == 1
    assert world.actions() == [("swarm.lock", "intent"), ("swarm.lock", "success"), ("swarm.lock", "success")]


def test_a_key_that_docker_made_is_taken_in(world: World) -> None:
    world.manager.spec["EncryptionConfig"]["AutoLockManagers"] = True
    assert lock(world) is False
    assert (kept(world), world.manager.writes) == ([UNLOCK_KEY.encode()], [])


def test_off_keeps_the_key_for_who_is_down(world: World) -> None:
    lock(world)
    assert locking.unlock_for_good(world.desk.home, world.swarm, OPERATOR) is True
    assert locking.unlock_for_good(world.desk.home, world.swarm, OPERATOR) is False
    assert kept(world) == [UNLOCK_KEY.encode()]


def test_another_key_leaves_the_former_one_beside(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lock(world)
    other = "SWMKEY-1-" + "b" * 43
    write = locking._change

    def change_and_draw(*args: object, **options: object) -> None:
        write(*args, **options)  # type: ignore[arg-type]  # handed on as they came
        monkeypatch.setattr(simulated_manager, "UNLOCK_KEY", other)

    monkeypatch.setattr(locking, "_change", change_and_draw)
    locking.rotate_key(world.desk.home, world.desk.keys, world.swarm, OPERATOR)
    assert kept(world) == [other.encode(), UNLOCK_KEY.encode()]

    monkeypatch.setattr(simulated_manager, "UNLOCK_KEY", UNLOCK_KEY)
    world.manager.is_locked = True
    locking.unlock_engine(world.desk.home, world.desk.keys, world.swarm, OPERATOR)
    assert not world.manager.is_locked


def test_there_is_nothing_to_rotate_while_it_is_off(world: World) -> None:
    with pytest.raises(Denied, match="autolock is off"):
        locking.rotate_key(world.desk.home, world.desk.keys, world.swarm, OPERATOR)


def test_unlocking_needs_a_kept_key_that_fits(world: World) -> None:
    with pytest.raises(NotFound, match="no unlock key is kept"):
        locking.unlock_engine(world.desk.home, world.desk.keys, world.swarm, OPERATOR)
    lock(world)
    with pytest.raises(AlreadyExists, match="not locked"):
        locking.unlock_engine(world.desk.home, world.desk.keys, world.swarm, OPERATOR)
    world.manager.refuse["/swarm/unlock"] = Refused(401, "invalid key provided")
    with pytest.raises(Denied, match="neither key that is kept unlocks"):
        locking.unlock_engine(world.desk.home, world.desk.keys, world.swarm, OPERATOR)
    assert world.actions()[-1] == ("swarm.unlock", "failure")


def test_an_engine_that_fails_is_on_record(world: World) -> None:
    world.manager.refuse["/swarm/update"] = Refused(500, "context deadline exceeded")
    with pytest.raises(Unavailable):
        lock(world)
    assert world.actions() == [("swarm.lock", "intent"), ("swarm.lock", "failure")]


def test_showing_the_key_is_logged(world: World) -> None:
    lock(world)
    shown = world.desk.home.store.write(lambda transaction: reveal_unlock_key(transaction, world.desk.keys, OPERATOR))
    assert shown == SecretBytes(UNLOCK_KEY.encode())
    assert world.actions()[-1] == ("swarm.unlock-key-reveal", "success")
