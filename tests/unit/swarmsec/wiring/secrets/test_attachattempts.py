"""Attaching and detaching through power cuts: whoever comes next finds out from the service how it ended."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from swarmsec.errors import Unavailable
from swarmsec.services.secrets.attach_secret import DRIVER_MODE, NATIVE_MODE
from swarmsec.wiring.secrets.attachattempts import GONE, resolve_attempts
from swarmsec.wiring.secrets.attaching import Attaching
from tests.unit.swarmsec.wiring.pretend_swarm import PowerCut, PretendSwarm
from tests.unit.swarmsec.wiring.secrets.secretworld import FILE, MODES, NAME, DyingStore, World


def attach(attaching: Attaching, mode: str) -> None:
    attaching.attach(NAME, "shop_api", FILE, driver="swarmsec", mode=mode)


def detach(attaching: Attaching, mode: str) -> None:
    attaching.detach(NAME, "shop_api")


def open_intents(world: World) -> int:
    return len(world.home.store.read(lambda transaction: transaction.intents.all()))


def never() -> PretendSwarm:
    raise AssertionError("nothing was to be found out")


def verify_resolved(world: World, action: str) -> None:
    """What is on record is what the service has; nothing is open, and no Docker secret lies about."""
    has_it = bool(world.references("shop_api"))
    assert (open_intents(world), world.attached()) == (0, ["shop_api"] * has_it)
    assert bool(world.swarm.kept) == has_it
    outcomes = [entry["outcome"] for entry in world.entries(action) if entry["outcome"] != "denied"]
    assert outcomes.count("intent") * 2 == len(outcomes)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("do", [attach, detach])
@MODES
def test_a_power_cut_at_any_call_of_docker_is_found_out(
    world: World, mode: str, do: Callable[[Attaching, str], None], after: bool
) -> None:
    swarm, cuts = world.swarm, 0
    for at in range(1, 60):
        if do is detach:
            attach(world.attaching, mode)
        swarm.calls, swarm.cut_at, swarm.cut_after = 0, at, after
        try:
            do(world.attaching, mode)
        except PowerCut:
            swarm.cut_at = 0
        else:
            swarm.cut_at = 0
            assert cuts > 3
            return
        if open_intents(world):
            cuts += 1
            assert resolve_attempts(world.home.store, never) == []
            world.lose_power()
            assert len(resolve_attempts(world.home.store, lambda: swarm)) == 1
        verify_resolved(world, f"secret.{do.__name__}")
        if world.references("shop_api"):
            detach(world.attaching, mode)
    pytest.fail("attaching has fewer calls than that")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("do", [attach, detach])
def test_a_power_cut_at_any_write_of_ours_is_found_out(
    world: World, do: Callable[[Attaching, str], None], after: bool
) -> None:
    for at in range(1, 20):
        if do is detach:
            attach(world.attaching, DRIVER_MODE)
        store: Any = DyingStore(world.home, at, after=after)
        try:
            do(replace(world.attaching, store=store), DRIVER_MODE)
        except PowerCut:
            world.lose_power()
            resolve_attempts(world.home.store, lambda: world.swarm)
        else:
            assert at > 2
            return
        verify_resolved(world, f"secret.{do.__name__}")
        if world.references("shop_api"):
            detach(world.attaching, DRIVER_MODE)
    pytest.fail("attaching has fewer writes than that")


def cut(world: World, at: int, mode: str = DRIVER_MODE) -> None:
    """Attach, and die at a call of Docker; nobody comes before the process is known to be gone."""
    world.swarm.calls, world.swarm.cut_at = 0, at
    with pytest.raises(PowerCut):
        attach(world.attaching, mode)
    world.swarm.cut_at = 0
    world.lose_power()


def test_the_next_command_finds_it_out_by_itself(world: World) -> None:
    cut(world, 3)
    assert (open_intents(world), world.attached()) == (1, ["shop_api"])
    attach(world.attaching, DRIVER_MODE)
    verify_resolved(world, "secret.attach")
    resolved = [entry for entry in world.entries("secret.attach") if entry["fields"].get("resolved")]
    assert [(entry["outcome"], entry["reason"]) for entry in resolved] == [
        ("failure", "interrupted before the service was changed")
    ]


def test_what_a_later_attempt_put_on_record_stays(world: World) -> None:
    cut(world, 3, NATIVE_MODE)
    world.clock.seconds -= 1000  # The process counts as being at it.
    attach(world.attaching, DRIVER_MODE)
    world.clock.seconds += 1000
    resolve_attempts(world.home.store, lambda: world.swarm)
    assert (world.attached(), open_intents(world)) == (["shop_api"], 0)
    assert world.read_by("shop_api") == b"old"


@pytest.mark.parametrize("do", [attach, detach])
@pytest.mark.parametrize("is_done", [False, True])
def test_a_change_that_docker_did_not_answer_is_found_out(
    world: World, do: Callable[[Attaching, str], None], is_done: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if do is detach:
        attach(world.attaching, DRIVER_MODE)
    change = world.swarm.change_service

    def unanswered(*arguments: Any) -> None:
        if is_done:
            change(*arguments)
        raise Unavailable("no answer")

    with monkeypatch.context() as patch, pytest.raises(Unavailable, match="no answer"):
        patch.setattr(world.swarm, "change_service", unanswered)
        do(world.attaching, DRIVER_MODE)
    assert open_intents(world) == 1
    world.lose_power()
    resolve_attempts(world.home.store, lambda: world.swarm)
    assert bool(world.references("shop_api")) == (is_done == (do is attach))
    verify_resolved(world, f"secret.{do.__name__}")


def test_a_service_that_went_away_has_nothing(world: World) -> None:
    cut(world, 6)
    del world.swarm.objects["id-shop_api"]
    resolve_attempts(world.home.store, lambda: world.swarm)
    assert (world.attached(), open_intents(world), world.swarm.kept) == ([], 0, {})
    assert world.entries("secret.attach")[-1]["reason"] == GONE


def test_a_process_of_this_machine_that_is_gone_is_not_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.swarm.calls, world.swarm.cut_at = 0, 3
    with monkeypatch.context() as patch, pytest.raises(PowerCut):
        patch.setattr(os, "getpid", lambda: 99_999_999)
        attach(world.attaching, DRIVER_MODE)
    world.swarm.cut_at = 0
    assert len(resolve_attempts(world.home.store, lambda: world.swarm)) == 1
