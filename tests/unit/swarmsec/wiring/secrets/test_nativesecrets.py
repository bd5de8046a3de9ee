"""Docker secrets of versions that ended outside a rotation go as soon as nobody needs them, and never sooner."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from swarmsec.secretbytes import SecretBytes
from swarmsec.secretstore.names import SecretName
from swarmsec.services.ports import Transaction
from swarmsec.services.requester import Requester
from swarmsec.services.secrets.attach_secret import DRIVER_MODE, NATIVE_MODE
from swarmsec.services.secrets.keep_secrets import delete_versions, destroy_versions, put_secret
from swarmsec.services.secrets.kept_secrets import KeptSecret
from swarmsec.wiring.secrets.nativesecrets import NativeSecrets, ended_natively
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.wiring.pretend_swarm import PowerCut
from tests.unit.swarmsec.wiring.secrets.secretworld import NAME, World

Change = Callable[[Transaction, SecretName, Sequence[int], Requester], KeptSecret]


def natives(world: World) -> NativeSecrets:
    return NativeSecrets(name=NAME, carrier=world.swarm, report=world.said.append)


def at_docker(world: World) -> set[str]:
    return {item["Spec"]["Name"] for item in world.swarm.kept.values()}


def put(world: World, max_versions: int) -> None:
    world.home.store.write(
        lambda transaction: put_secret(
            transaction, world.keys, NAME, SecretBytes(b"put"), OPERATOR, max_versions=max_versions
        )
    )


@pytest.fixture
def rotated(world: World) -> World:
    """The service uses version 2, and Docker keeps version 1 beside it."""
    world.attach("shop_api", NATIVE_MODE)
    world.rotate()
    assert at_docker(world) == {"team.app.db.v1", "team.app.db.v2"}
    return world


def test_what_a_new_version_pushes_out_leaves_docker_too(rotated: World) -> None:
    put(rotated, max_versions=2)
    assert rotated.states() == {1: "destroyed", 2: "live", 3: "live"}
    assert natives(rotated).remove_ended(rotated.home.store)
    assert at_docker(rotated) == {"team.app.db.v2"}


@pytest.mark.parametrize("change", [delete_versions, destroy_versions])
def test_what_a_service_uses_stays_and_is_told(rotated: World, change: Change) -> None:
    rotated.home.store.write(lambda transaction: change(transaction, NAME, (1, 2), OPERATOR))
    assert not natives(rotated).remove_ended(rotated.home.store)
    assert at_docker(rotated) == {"team.app.db.v2"}
    assert "the Docker secret team.app.db.v2 stays, for a service uses it" in rotated.said


def test_a_docker_secret_of_somebody_else_stays(rotated: World) -> None:
    for item in rotated.swarm.kept.values():
        item["Spec"]["Labels"] = {}
    put(rotated, max_versions=2)
    assert natives(rotated).remove_ended(rotated.home.store)
    assert at_docker(rotated) == {"team.app.db.v1", "team.app.db.v2"}


def test_while_a_rotation_is_under_way_everything_stays_and_it_can_go_back(
    rotated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service still uses a version that was destroyed; the rotation that moves it on is interrupted."""
    rotated.put(b"third")
    put(rotated, max_versions=1)
    assert rotated.states()[2] == "destroyed"
    before = rotated.read_by("shop_api")

    def die(*_: object) -> None:
        raise PowerCut

    with monkeypatch.context() as patch, pytest.raises(PowerCut):
        patch.setattr("swarmsec.wiring.secrets.secretrotation.conclude_roll", die)
        rotated.rotate(b"fifth")
    assert rotated.home.store.read(ended_natively) == {}
    assert not natives(rotated).remove_ended(rotated.home.store)
    assert "team.app.db.v2" in at_docker(rotated)

    rotated.lose_power()
    rotated.rotating.roll_back(NAME)
    assert rotated.read_by("shop_api") == before


def test_while_somebody_is_at_a_rotation_nothing_is_removed(rotated: World) -> None:
    put(rotated, max_versions=2)
    with rotated.rotating._turn(NAME):
        assert not natives(rotated).remove_ended(rotated.home.store)
    assert "team.app.db.v1" in at_docker(rotated)
    assert natives(rotated).remove_ended(rotated.home.store)
    assert "team.app.db.v1" not in at_docker(rotated)


def test_where_no_service_uses_docker_s_own_secrets_docker_is_not_asked(world: World) -> None:
    world.attach("shop_api", DRIVER_MODE)
    put(world, max_versions=1)
    calls = world.swarm.calls
    assert world.home.store.read(ended_natively) == {}
    assert not natives(world).remove_ended(world.home.store)
    assert world.swarm.calls == calls
