"""Docker secrets of versions that ended outside a rotation go as soon as nobody needs them, and never sooner."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from swarmsec.errors import Unavailable
from swarmsec.secretbytes import SecretBytes
from swarmsec.secretstore.names import SecretName
from swarmsec.services.ports import Transaction
from swarmsec.services.requester import Requester
from swarmsec.services.secrets.attach_secret import DRIVER_MODE, NATIVE_MODE
from swarmsec.services.secrets.keep_secrets import delete_versions, destroy_versions, put_secret
from swarmsec.services.secrets.kept_secrets import KeptSecret
from swarmsec.wiring.secrets.attachattempts import abandoned_attempts, resolve_attempts
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


def test_once_the_last_service_has_let_go_docker_has_no_version_left(rotated: World) -> None:
    rotated.attach("shop_web", NATIVE_MODE)
    rotated.attaching.detach(NAME, "shop_api")
    assert at_docker(rotated) == {"team.app.db.v1", "team.app.db.v2"}, "a rotation of the other may go back"
    rotated.attaching.detach(NAME, "shop_web")
    assert at_docker(rotated) == set()
    assert rotated.states() == {1: "live", 2: "live"}


def test_a_service_that_uses_one_by_itself_keeps_it_and_that_is_told(rotated: World) -> None:
    (reference,) = rotated.references("shop_api")
    rotated.swarm.spec("id-shop_web")["TaskTemplate"]["ContainerSpec"]["Secrets"] = [reference]
    rotated.attaching.detach(NAME, "shop_api")
    assert at_docker(rotated) == {"team.app.db.v2"}
    assert "the Docker secret team.app.db.v2 stays, for a service uses it" in rotated.said


def test_who_is_about_to_attach_finds_what_docker_has(rotated: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object, **__: object) -> None:
        raise PowerCut

    with monkeypatch.context() as patch, pytest.raises(PowerCut):
        patch.setattr("swarmsec.wiring.secrets.attaching.native_secret", die)
        rotated.attach("shop_web", NATIVE_MODE)
    rotated.attaching.detach(NAME, "shop_api")
    assert "team.app.db.v1" in at_docker(rotated)


@pytest.mark.parametrize("first_unanswered", range(1, 7))
def test_what_docker_did_not_answer_while_it_was_tidied_is_told_and_done_by_who_comes_next(
    rotated: World, monkeypatch: pytest.MonkeyPatch, first_unanswered: int
) -> None:
    """Also where it does not answer whoever comes next either, at first."""
    asked, call = 0, rotated.swarm._call

    def fail(effect: Callable[[], object] = lambda: None) -> None:
        nonlocal asked
        asked += not rotated.references("shop_api")
        if asked >= first_unanswered + 2:  # the service and its tasks are looked at before
            raise Unavailable("no answer")
        call(effect)

    with monkeypatch.context() as patch:
        patch.setattr(rotated.swarm, "_call", fail)
        with pytest.raises(Unavailable, match="was taken from shop_api, but its Docker secrets may still") as caught:
            rotated.attaching.detach(NAME, "shop_api")
        assert "the next secrets attach or detach" in str(caught.value.hint)
        rotated.lose_power()
        with pytest.raises(Unavailable, match="no answer"):
            resolve_attempts(rotated.home.store, lambda: rotated.swarm)
    assert at_docker(rotated)
    assert len(rotated.home.store.read(abandoned_attempts)) == 1

    resolve_attempts(rotated.home.store, lambda: rotated.swarm)
    assert (at_docker(rotated), rotated.attached()) == (set(), [])
    assert [entry["outcome"] for entry in rotated.entries("secret.detach")] == ["intent", "success"]


def test_an_attempt_that_came_to_nothing_leaves_nothing_either(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object, **__: object) -> None:
        raise PowerCut

    with monkeypatch.context() as patch, pytest.raises(PowerCut):
        patch.setattr(world.swarm, "change_service", die)
        world.attach("shop_api", NATIVE_MODE)
    assert at_docker(world) == {"team.app.db.v1"}
    world.lose_power()
    resolve_attempts(world.home.store, lambda: world.swarm)
    assert (at_docker(world), world.attached()) == (set(), [])


def test_a_power_cut_while_docker_is_tidied_leaves_it_to_who_comes_next(rotated: World) -> None:
    swarm = rotated.swarm
    for at in range(1, 60):
        if rotated.current == 1 or len(at_docker(rotated)) < 2:
            rotated.attach("shop_api", NATIVE_MODE)
            rotated.rotate()
        swarm.calls, swarm.cut_at = 0, at
        try:
            rotated.attaching.detach(NAME, "shop_api")
        except PowerCut:
            swarm.cut_at = 0
        else:
            swarm.cut_at = 0
            assert at > 5
            assert at_docker(rotated) == set()
            return
        rotated.lose_power()
        resolve_attempts(rotated.home.store, lambda: swarm)
        assert bool(at_docker(rotated)) == bool(rotated.references("shop_api"))
    pytest.fail("detaching has fewer calls than that")
