"""Attaching and detaching: policy first, both entries on record, and a service that is changed whole or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from policies.loading import load_documents
from swarmsec.errors import AlreadyExists, Denied, NotFound, Unavailable, UsageProblem
from swarmsec.secretstore.names import SecretName
from swarmsec.services.access.apply_policy import apply_policies
from swarmsec.services.secrets.attach_secret import DRIVER_MODE, SecretFile, native_secret_name
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.wiring.secrets.secretworld import MODES, NAME, POLICY, World


@MODES
def test_a_service_gets_the_secret_with_its_file_and_version(world: World, mode: str) -> None:
    world.attach("shop_api", mode)
    (reference,) = world.references("shop_api")
    assert reference["File"] == {"Name": "db", "UID": "0", "GID": "0", "Mode": 0o400}
    assert list(world.swarm.spec("id-shop_api")["Labels"].values()) == ["1"]
    assert world.read_by("shop_api") == b"old"
    assert [entry["outcome"] for entry in world.entries("secret.attach")] == ["intent", "success"]
    assert world.attached() == ["shop_api"]


@MODES
def test_what_the_policy_denies_changes_nothing(world: World, mode: str) -> None:
    documents = load_documents(POLICY.replace("shop_*", "other_*").encode(), source="test")
    world.home.store.write(lambda transaction: apply_policies(transaction, documents, OPERATOR))
    with pytest.raises(Denied, match="may not go to service shop_api: no rule allows it"):
        world.attach("shop_api", mode)
    assert (world.references("shop_api"), world.swarm.kept, world.attached()) == ([], {}, [])
    assert [entry["outcome"] for entry in world.entries("secret.attach")] == ["denied"]


@MODES
def test_detaching_is_on_record_before_and_after(world: World, mode: str) -> None:
    world.attach("shop_api", mode)
    world.attaching.detach(NAME, "shop_api")
    assert (world.references("shop_api"), world.attached()) == ([], [])
    entries = world.entries("secret.detach")
    assert [entry["outcome"] for entry in entries] == ["intent", "success"]
    assert len({entry["request_id"] for entry in entries}) == 1


def test_a_service_that_is_not_there_is_told(world: World) -> None:
    with pytest.raises(NotFound):
        world.attach("shop_none", DRIVER_MODE)


def test_tasks_that_do_not_come_up_are_a_failure_and_the_service_stays_attached(world: World) -> None:
    world.swarm.accepts = lambda service, spec: False
    with pytest.raises(Unavailable, match="Docker ended the update: paused; the last task said: exit 3"):
        world.attach("shop_api", DRIVER_MODE)
    assert [entry["outcome"] for entry in world.entries("secret.attach")] == ["intent", "failure"]
    assert world.attached() == ["shop_api"]


@MODES
def test_a_docker_secret_of_somebody_else_is_left_alone_and_nothing_stays_on_record(world: World, mode: str) -> None:
    name = NAME.docker_name if mode == DRIVER_MODE else native_secret_name(NAME, 1)
    world.swarm.kept["theirs"] = {"ID": "theirs", "Spec": {"Name": name, "Labels": {}}}
    with pytest.raises(AlreadyExists, match="is there already"):
        world.attach("shop_api", mode)
    assert (world.references("shop_api"), world.attached()) == ([], [])


def test_another_secret_in_the_same_file_is_refused(world: World) -> None:
    theirs = {"SecretID": "x", "SecretName": "x", "File": {"Name": "/run/secrets/db", "Mode": 0o444}}
    world.swarm.spec("id-shop_api")["TaskTemplate"]["ContainerSpec"]["Secrets"] = [theirs]
    with pytest.raises(UsageProblem, match="has the Docker secret x at /run/secrets/db"):
        world.attach("shop_api", DRIVER_MODE)
    assert world.references("shop_api") == [theirs]


@MODES
def test_a_secret_is_not_put_into_two_files_of_one_service(world: World, mode: str) -> None:
    """Docker writes one file for both, and the owner and mode of the last one count for the first as well."""
    world.attach("shop_api", mode)
    before = world.references("shop_api")
    other = SecretFile(target="other", uid=7, gid=7, mode=0o444)
    with pytest.raises(UsageProblem, match="for all files of one share the last one's owner and mode"):
        world.attaching.attach(NAME, "shop_api", other, driver="swarmsec", mode=mode)
    assert world.references("shop_api") == before
    again = SecretFile(target="db", uid=7, gid=7, mode=0o440)
    world.attaching.attach(NAME, "shop_api", again, driver="swarmsec", mode=mode)
    (reference,) = world.references("shop_api")
    assert reference["File"] == {"Name": "db", "UID": "7", "GID": "7", "Mode": 0o440}


@pytest.mark.parametrize(
    "change",
    [
        {"mode": 0o10000},
        {"mode": -1},
        {"uid": -1},
        {"gid": 2**31},
        {"target": ""},
        {"target": "a/b"},
        {"target": ".."},
        {"target": "/run/secrets/../secrets/db"},
        {"target": "/run//secrets"},
        {"target": "/run/secrets/"},
        {"target": "/"},
        {"target": "a\n"},
        {"target": "a" * 4097},
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UsageProblem):
        SecretFile(**{"target": "db", "uid": 0, "gid": 0, "mode": 0o400, **change})


def test_names_of_native_secrets_fit_docker() -> None:
    long = SecretName.parse("a" * 61 + "-bc")
    for version in (1, 100, 999_999_999):
        name = native_secret_name(long, version)
        assert len(name) <= 64
        assert name.endswith(f".v{version}")
