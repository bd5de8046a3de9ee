"""Rotation: every step in order, every way back, and a power cut at each call of Docker and each write of ours."""

from __future__ import annotations

import json
from typing import Any

import pytest

from policies.loading import load_documents
from swarmsec.errors import AlreadyExists, Changed, Denied, NotFound, Unavailable, UsageProblem
from swarmsec.secretbytes import SecretBytes
from swarmsec.secretstore.names import SecretName
from swarmsec.services.access.apply_policy import apply_policies
from swarmsec.services.secrets.attach_secret import DRIVER_MODE, NATIVE_MODE
from swarmsec.services.secrets.deliver_secret import version_label
from swarmsec.services.secrets.keep_secrets import delete_versions
from swarmsec.services.secrets.rotate_secret import MAX_KEEP
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.wiring.pretend_swarm import PowerCut
from tests.unit.swarmsec.wiring.secrets.secretworld import MODES, NAME, POLICY, World


def refuse_all(value: SecretBytes) -> None:
    raise Denied("the new value was not found good")


@MODES
def test_every_service_reads_the_new_value_and_every_step_is_on_record(world: World, mode: str) -> None:
    for service in ("shop_api", "shop_web"):
        world.attach(service, mode)
    seen: list[bytes] = []

    assert world.rotate(validate=lambda value: seen.append(value.reveal())) == 2
    assert seen == [b"new"]
    assert [world.read_by(service) for service in ("shop_api", "shop_web")] == [b"new", b"new"]
    assert (world.current, world.states(), world.is_open()) == (2, {1: "live", 2: "live"}, False)
    steps = [(entry["fields"]["step"], entry["outcome"]) for entry in world.entries()]
    rolled = [("roll", "intent"), ("settle", "success")]
    begun = [("stage", "intent"), ("validate", "success"), ("publish", "success")]
    assert steps == [*begun, *rolled, *rolled, ("retire", "intent"), ("done", "success")]
    assert len({entry["request_id"] for entry in world.entries()}) == 1
    assert b"new" not in json.dumps(world.entries()).encode().replace(b'"new_', b"")


@MODES
def test_a_value_that_is_not_good_changes_nothing(world: World, mode: str) -> None:
    world.attach("shop_api", mode)
    before = world.swarm.spec("id-shop_api")

    with pytest.raises(Denied, match="not found good"):
        world.rotate(validate=refuse_all)
    assert world.swarm.spec("id-shop_api") == before
    assert (world.current, world.states(), world.is_open()) == (1, {1: "live", 2: "destroyed"}, False)


@MODES
@pytest.mark.parametrize("update", [{}, {"FailureAction": "rollback"}, {"FailureAction": "pause"}])
def test_where_tasks_fail_everything_goes_back(world: World, mode: str, update: dict[str, Any]) -> None:
    """shop_api comes up with the new value, shop_web does not: both have the old one in the end."""
    world.swarm.objects["id-shop_web"]["Spec"] |= {"UpdateConfig": dict(update)} if update else {}
    for service in ("shop_api", "shop_web"):
        world.attach(service, mode)
    label = world.home.store.read(lambda transaction: version_label(transaction, world.keys, NAME))
    world.swarm.accepts = lambda service, spec: service != "shop_web" or spec["Labels"].get(label) != "2"

    with pytest.raises(Unavailable, match="back at version 1: service shop_web"):
        world.rotate()
    assert [world.read_by(service) for service in ("shop_api", "shop_web")] == [b"old", b"old"]
    assert (world.current, world.states(), world.is_open()) == (1, {1: "live", 2: "deleted"}, False)
    assert world.entries()[-1]["outcome"] == "failure"
    if mode == NATIVE_MODE:
        assert {item["Spec"]["Name"] for item in world.swarm.kept.values()} == {"team.app.db.v1"}
    world.swarm.accepts = lambda service, spec: True
    assert world.rotate(b"newer") == 3
    assert world.read_by("shop_web") == b"newer"


def test_each_service_goes_back_to_what_it_had_itself(world: World) -> None:
    """A service may name an older version than the current one, and a stack's service names none."""
    world.attach("shop_api", DRIVER_MODE)
    world.put(b"two")
    world.attach("shop_web", DRIVER_MODE)
    label = world.home.store.read(lambda transaction: version_label(transaction, world.keys, NAME))
    world.swarm.add_service("shop_zoo")
    zoo, web = world.swarm.spec("id-shop_zoo"), world.swarm.spec("id-shop_web")
    zoo["TaskTemplate"]["ContainerSpec"]["Secrets"] = web["TaskTemplate"]["ContainerSpec"]["Secrets"]
    world.swarm.accepts = lambda service, spec: service != "shop_zoo" or spec.get("Labels", {}).get(label) != "3"

    with pytest.raises(Unavailable, match="back at version 2"):
        world.rotate(b"three")
    found = [world.swarm.spec(f"id-{name}").get("Labels", {}).get(label) for name in ("shop_api", "shop_web")]
    assert found == ["1", "2"]
    assert label not in (world.swarm.spec("id-shop_zoo").get("Labels") or {})
    assert world.read_by("shop_zoo") == b"two"


def test_a_service_keeps_its_own_update_settings_and_file(world: World) -> None:
    own = {"Parallelism": 7, "FailureAction": "continue", "Monitor": 1}
    world.swarm.objects["id-shop_web"]["Spec"]["UpdateConfig"] = dict(own)
    for service in ("shop_api", "shop_web"):
        world.attach(service, NATIVE_MODE)
    files = world.swarm.spec("id-shop_api")["TaskTemplate"]["ContainerSpec"]["Secrets"][0]["File"]
    world.rotate()

    assert world.swarm.spec("id-shop_web")["UpdateConfig"] == own
    assert world.swarm.spec("id-shop_api")["UpdateConfig"]["FailureAction"] == "rollback"
    assert world.swarm.spec("id-shop_api")["TaskTemplate"]["ContainerSpec"]["Secrets"][0]["File"] == files


def test_versions_beyond_the_number_to_keep_are_withdrawn_with_their_docker_secrets(world: World) -> None:
    world.attach("shop_api", NATIVE_MODE)
    for number in range(2, 6):
        assert world.rotate(b"%d" % number, keep=2) == number
    assert world.states() == {1: "deleted", 2: "deleted", 3: "live", 4: "live", 5: "live"}
    names = {item["Spec"]["Name"] for item in world.swarm.kept.values()}
    assert names == {"team.app.db.v3", "team.app.db.v4", "team.app.db.v5"}


def test_a_native_service_that_nobody_attached_is_left_alone(world: World) -> None:
    """Whoever may make Docker secrets may put our label on one; it brings nobody a value."""
    world.attach("shop_api", NATIVE_MODE)
    world.swarm.kept["theirs"] = {"ID": "theirs", "Spec": {"Name": "theirs", "Labels": {"io.swarmsec.name": NAME.text}}}
    world.swarm.values["theirs"] = b"theirs"
    reference = {"SecretID": "theirs", "SecretName": "theirs", "File": {"Name": "db", "Mode": 0o400}}
    world.swarm.add_service("shop_thief")
    world.swarm.spec("id-shop_thief")["TaskTemplate"]["ContainerSpec"]["Secrets"] = [reference]

    world.rotate()
    assert world.read_by("shop_thief") == b"theirs"
    assert any("nobody attached" in line for line in world.said)


def test_a_native_service_that_the_policy_denies_now_stops_the_rotation_before_it_begins(world: World) -> None:
    world.attach("shop_api", NATIVE_MODE)
    documents = load_documents(POLICY.replace("shop_*", "other_*").encode(), source="test")
    world.home.store.write(lambda transaction: apply_policies(transaction, documents, OPERATOR))

    with pytest.raises(Denied, match="no rule allows it"):
        world.rotate()
    assert (world.states(), world.is_open()) == ({1: "live"}, False)
    (entry,) = world.entries()
    assert (entry["outcome"], entry["reason"]) == ("denied", "no rule allows it")
    assert (entry["fields"]["step"], entry["fields"]["service_name"]) == ("plan", "shop_api")


def test_a_docker_secret_of_another_value_is_not_taken_up(world: World) -> None:
    world.attach("shop_api", NATIVE_MODE)
    labels = {"io.swarmsec.name": NAME.text, "io.swarmsec.fingerprint": "00" * 16}
    world.swarm.kept["x"] = {"ID": "x", "Spec": {"Name": "team.app.db.v2", "Labels": labels}}

    with pytest.raises(AlreadyExists, match=r"team\.app\.db\.v2 is there already"):
        world.rotate()
    assert world.read_by("shop_api") == b"old"
    world.rotating.roll_back(NAME)
    assert (world.current, world.states()) == (1, {1: "live", 2: "deleted"})


def test_what_cannot_be_meant_is_refused(world: World) -> None:
    with pytest.raises(NotFound, match="no rotation"):
        world.rotating.resume(NAME, None)
    with pytest.raises(NotFound, match="no rotation"):
        world.rotating.roll_back(NAME)
    with pytest.raises(NotFound, match="no secret"):
        world.rotating.rotate(SecretName.parse("none"), SecretBytes(b"x"), None, keep=2)
    for keep in (0, MAX_KEEP + 1):
        with pytest.raises(UsageProblem, match="versions to keep"):
            world.rotate(keep=keep)
    world.home.store.write(lambda transaction: delete_versions(transaction, NAME, [1], OPERATOR))
    with pytest.raises(UsageProblem, match="live current version"):
        world.rotate()


def test_one_rotation_at_a_time_and_no_value_without_its_validation(world: World) -> None:
    world.attach("shop_api", DRIVER_MODE)

    def die(value: SecretBytes) -> None:
        raise PowerCut

    with pytest.raises(PowerCut):
        world.rotate(validate=die)
    with pytest.raises(AlreadyExists, match=r"process \d+ on .* is at the rotation of team/app/db"):
        world.rotate()
    world.lose_power()
    with pytest.raises(AlreadyExists, match="under way"):
        world.rotate()
    with pytest.raises(Denied, match="still to be validated"):
        world.rotating.resume(NAME, None)
    world.put(b"meanwhile")
    with pytest.raises(Changed, match="expected version 1"):
        world.rotating.resume(NAME, lambda value: None)
    world.rotating.roll_back(NAME)
    assert (world.current, world.states()) == (3, {1: "live", 2: "destroyed", 3: "live"})
