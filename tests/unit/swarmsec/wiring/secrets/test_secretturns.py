"""The turn at a secret's rotation: one process at a time, and none that was stopped for too long."""

from __future__ import annotations

import os

import pytest

from swarmsec.clock import unix_seconds
from swarmsec.errors import AlreadyExists, Changed, UsageProblem
from swarmsec.services.records import Lease
from swarmsec.wiring.secrets.secretturns import (
    LEASE_SECONDS,
    FencedStore,
    HandedOver,
    is_abandoned,
    lease_of,
    rotation_turn,
)
from tests.unit.swarmsec.wiring.pretend_swarm import PowerCut
from tests.unit.swarmsec.wiring.secrets.secretworld import NAME, World

HOST = os.uname().nodename


def lease(world: World) -> Lease | None:
    return world.home.store.read(lambda transaction: transaction.leases.find(lease_of(NAME.text)))


def abandoned(world: World) -> bool:
    return is_abandoned(lease(world), unix_seconds(world.home.clock))


def test_a_second_process_is_told_who_is_at_it(world: World) -> None:
    with rotation_turn(world.home.store, NAME.text):
        with pytest.raises(AlreadyExists, match=rf"process {os.getpid()} on .* is at the rotation of {NAME}"):
            FencedStore(world.home.store, lease_of(NAME.text)).take(f"the rotation of {NAME}")
        assert not abandoned(world)
    with rotation_turn(world.home.store, NAME.text):
        pass


def test_whoever_was_stopped_for_too_long_writes_nothing_any_more(world: World) -> None:
    with pytest.raises(Changed), rotation_turn(world.home.store, NAME.text) as turn:
        world.clock.seconds += LEASE_SECONDS
        with rotation_turn(world.home.store, NAME.text):
            turn.write(lambda transaction: transaction.settings.put("never", "written"))
    assert world.home.store.read(lambda transaction: transaction.settings.get("never")) is None


@pytest.mark.parametrize(
    ("ending", "is_left"), [(PowerCut(), True), (HandedOver(), True), (UsageProblem("no"), False), (None, False)]
)
def test_only_who_dies_or_hands_over_leaves_the_work_to_others(
    world: World, ending: BaseException | None, is_left: bool
) -> None:
    try:
        with rotation_turn(world.home.store, NAME.text):
            if ending is not None:
                raise ending
    except BaseException as error:
        assert error is ending  # noqa: PT017  # each ending is one of the parameters
    world.clock.seconds += LEASE_SECONDS
    assert abandoned(world) == is_left


@pytest.mark.parametrize(
    ("holder", "is_left"),
    [
        (f"process {os.getpid()} on {HOST} (00000000)", False),
        (f"process 99999999 on {HOST} (00000000)", True),
        (f"process 9999999999999999999 on {HOST} (00000000)", True),
        (f"process 1 on {HOST} (00000000)", False),
        (f"process 0 on {HOST} (00000000)", False),
        ("process 99999999 on elsewhere (00000000)", False),
        ("somebody", False),
    ],
    ids=["ourselves", "gone", "no number of a process", "the first", "none", "elsewhere", "unnamed"],
)
def test_a_process_of_this_machine_that_is_gone_is_not_waited_for(world: World, holder: str, is_left: bool) -> None:
    world.home.store.write(lambda transaction: transaction.leases.take(lease_of(NAME.text), holder, LEASE_SECONDS))
    assert abandoned(world) == is_left
    if is_left:
        with rotation_turn(world.home.store, NAME.text):
            pass
    else:
        with pytest.raises(AlreadyExists), rotation_turn(world.home.store, NAME.text):
            pass
