"""Rotation through power cuts: at each call of Docker, and at each write of ours, forward and on the way back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from swarmsec.errors import Unavailable, UsageProblem
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.secrets.attach_secret import DRIVER_MODE, NATIVE_MODE, native_secret_name
from swarmsec.services.secrets.deliver_secret import version_label
from tests.unit.swarmsec.wiring.pretend_swarm import PowerCut
from tests.unit.swarmsec.wiring.secrets.secretworld import MODES, NAME, DyingStore, World


def interrupted(world: World, *, at: int, after: bool, value: bytes = b"new") -> bool:
    """Rotate, and die at a call of Docker; False where it was done before."""
    swarm = world.swarm
    swarm.calls, swarm.cut_at, swarm.cut_after = 0, at, after
    try:
        world.rotate(value)
    except PowerCut:
        world.lose_power()
        return True
    finally:
        swarm.cut_at = 0
    return False


def went_back(world: World) -> bool:
    """Give a rotation up; False where every service has the new version and nothing leads back."""
    try:
        world.rotating.roll_back(NAME)
    except UsageProblem:
        return False
    return True


@MODES
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("goes_on", [True, False])
def test_a_power_cut_at_any_call_of_docker_is_gone_on_from_or_given_up(
    world: World, mode: str, after: bool, goes_on: bool
) -> None:
    for service in ("shop_api", "shop_web"):
        world.attach(service, mode)
    value, opened = b"old", 0
    for at in range(1, 200):
        new = b"new-%d" % at
        if not interrupted(world, at=at, after=after, value=new):
            assert opened > 5
            return
        was_open = world.is_open()
        if was_open:
            opened += 1
            ends = goes_on or not went_back(world)
            if ends:
                world.rotating.resume(NAME, None)
            assert not world.is_open()
        read = {world.read_by(service) for service in ("shop_api", "shop_web")}
        assert read == {world.current_value()}, at
        if was_open:
            assert read == {new if ends else value}, at
        (value,) = read
        ended = {number for number, state in world.states().items() if state != "live"}
        kept = {item["Spec"]["Name"] for item in world.swarm.kept.values()}
        assert not kept & {native_secret_name(NAME, number) for number in ended}, at
    pytest.fail("a rotation has fewer calls than that")


@dataclass(frozen=True)
class Refusing:
    """Tasks of shop_web that fail with one version."""

    label: str
    bad: str

    def __call__(self, service: str, spec: dict[str, Any]) -> bool:
        return service != "shop_web" or spec["Labels"].get(self.label) != self.bad


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("after", [False, True])
def test_a_power_cut_at_any_write_of_ours_is_gone_on_from(world: World, after: bool, fails: bool) -> None:
    """On the way forward, and on the way back from tasks that fail."""
    for service in ("shop_api", "shop_web"):
        world.attach(service, DRIVER_MODE)
    label = world.home.store.read(lambda transaction: version_label(transaction, world.keys, NAME))
    for at in range(1, 50):
        bad = str(max(world.states()) + 1) if fails else ""
        world.swarm.accepts = Refusing(label, bad)
        store: Any = DyingStore(world.home, at, after=after)
        dying = replace(world.rotating, store=store)
        try:
            dying.rotate(NAME, SecretBytes(b"new-%d" % at), lambda value: None, keep=2)
        except PowerCut:
            world.lose_power()
        except Unavailable:
            assert fails
            return
        else:
            assert not fails
            return
        if world.is_open():
            try:
                world.rotating.resume(NAME, lambda value: None)
            except Unavailable:
                assert fails
        assert not world.is_open()
        read = {world.read_by(service) for service in ("shop_api", "shop_web")}
        assert len(read) == 1, at
        assert not fails or read == {b"old"}, at
    pytest.fail("a rotation has fewer writes than that")


def test_going_on_with_an_interrupted_retirement_tells_what_nobody_gets_any_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.attach("shop_api", NATIVE_MODE)
    for value in (b"second", b"third"):
        world.rotate(value, keep=1)

    def die(secret_id: str) -> None:
        raise PowerCut

    with monkeypatch.context() as patch, pytest.raises(PowerCut):
        patch.setattr(world.swarm, "remove_secret", die)
        world.rotate(b"fourth", keep=1)
    world.lose_power()
    done = world.rotating.resume(NAME, None)

    assert (done.version, done.retired) == (4, (1, 2))
    assert [name for name, state in world.states().items() if state == "deleted"] == [1, 2]
