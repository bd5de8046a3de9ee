"""What went wrong in other tools that give secrets to a Swarm, each by its number there; docs/testing.md lists them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from swarmsec.docker.secret_driver import answer_with
from swarmsec.docker.service_objects import parse_task
from swarmsec.secretbytes import SecretBytes
from swarmsec.secretstore.names import SecretName
from swarmsec.services.secrets.attach_secret import DRIVER_MODE, NATIVE_MODE
from swarmsec.services.secrets.keep_secrets import NewSecret, create_secret
from swarmsec.services.secrets.service_records import TaskState
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.wiring.pretend_swarm import PretendSwarm
from tests.unit.swarmsec.wiring.secrets.secretworld import FILE, MODES, NAME, World

LONGER = SecretName.parse("team/app/db-prod")
"""A name that begins like the other one."""


@MODES
def test_bug_28_49_52_a_second_and_a_third_rotation_find_the_services_again(world: World, mode: str) -> None:
    for service in ("shop_api", "shop_web"):
        world.attach(service, mode)
    for value in (b"second", b"third", b"fourth"):
        world.rotate(value)
        assert {world.read_by("shop_api"), world.read_by("shop_web")} == {value}


@MODES
def test_bug_145_a_secret_whose_name_begins_alike_is_left_alone(world: World, mode: str) -> None:
    new = NewSecret(name=LONGER, value=SecretBytes(b"prod"), labels={})
    world.home.store.write(lambda transaction: create_secret(transaction, world.keys, new, OPERATOR))
    world.attach("shop_api", mode)
    world.attaching.attach(LONGER, "shop_web", FILE, driver="swarmsec", mode=mode)
    before = copy.deepcopy(world.swarm.spec("id-shop_web"))

    world.rotate(b"new")

    assert world.read_by("shop_api") == b"new"
    assert world.swarm.spec("id-shop_web") == before
    assert {name for name, _ in world.swarm.history[2:]} == {"shop_api"}


def test_bug_7_103_one_driver_gives_every_secret(world: World) -> None:
    new = NewSecret(name=LONGER, value=SecretBytes(b"prod"), labels={})
    world.home.store.write(lambda transaction: create_secret(transaction, world.keys, new, OPERATOR))
    world.attach("shop_api", DRIVER_MODE)
    world.attaching.attach(LONGER, "shop_web", FILE, driver="swarmsec", mode=DRIVER_MODE)
    assert {item["Spec"]["Driver"]["Name"] for item in world.swarm.kept.values()} == {"swarmsec"}
    names = {item["Spec"]["Labels"]["io.swarmsec.name"] for item in world.swarm.kept.values()}
    assert names == {NAME.text, LONGER.text}


def test_bug_131_whatever_it_is_called_a_value_is_for_one_task() -> None:
    """Others guess from words in a secret's name whether tasks may share it."""
    assert b'"DoNotReuse":true' in answer_with(SecretBytes(b"plain"))


@dataclass
class SlowSwarm(PretendSwarm):
    """A Swarm whose old tasks take some looks to end; notes at each look what is still there for them."""

    looks: int = 0
    seen: list[set[str]] = field(default_factory=list)

    def tasks(self, service_id: str) -> Sequence[TaskState]:
        new = super().tasks(service_id)
        if not self.looks:
            return new
        self.looks -= 1
        self.seen.append({item["Spec"]["Name"] for item in self.kept.values()})
        former = self.objects[service_id]["PreviousSpec"]["TaskTemplate"]
        old = {"ID": "old", "ServiceID": service_id, "DesiredState": "running", "Status": {"State": "running"}}
        return [*new[1:], parse_task({**old, "Spec": former})]


def test_bug_78_109_the_old_secret_stays_until_the_last_old_task_is_gone(world: World) -> None:
    world.attach("shop_api", NATIVE_MODE)
    slow = SlowSwarm(objects=world.swarm.objects, kept=world.swarm.kept, values=world.swarm.values, looks=3)
    rotating = replace(world.rotating, carrier=slow, seconds=30)

    rotating.rotate(NAME, SecretBytes(b"new"), None, keep=1)

    assert len(slow.seen) == 3
    assert all("team.app.db.v1" in names for names in slow.seen)
    assert world.states()[1] == "live"


def test_bug_rotated_value_in_raft_a_driver_s_secret_never_becomes_one_of_docker_s_own(world: World) -> None:
    world.attach("shop_api", DRIVER_MODE)
    world.rotate(b"new")
    assert list(world.swarm.values.values()) == [b""]
    assert [item["Spec"]["Driver"] for item in world.swarm.kept.values()] == [{"Name": "swarmsec"}]


@MODES
def test_bug_tracker_in_memory_another_process_goes_on_from_what_is_on_record(world: World, mode: str) -> None:
    world.attach("shop_api", mode)
    world.rotate(b"second")
    fresh = World(home=world.home, keys=world.keys, swarm=world.swarm, said=[], clock=world.clock)
    fresh.rotate(b"third")
    assert fresh.read_by("shop_api") == b"third"


def test_bug_content_in_names_what_docker_shows_says_nothing_of_a_value(world: World) -> None:
    """Two secrets of one value have nothing in common at Docker, and a guess at the value cannot be checked there."""
    new = NewSecret(name=LONGER, value=SecretBytes(b"old"), labels={})
    world.home.store.write(lambda transaction: create_secret(transaction, world.keys, new, OPERATOR))
    world.attach("shop_api", NATIVE_MODE)
    world.attaching.attach(LONGER, "shop_web", FILE, driver="swarmsec", mode=NATIVE_MODE)
    first, second = (shown(item) for item in world.swarm.kept.values())
    assert not first & second


def shown(item: dict[str, Any]) -> set[str]:
    return {item["Spec"]["Name"], *item["Spec"]["Labels"].values()}
