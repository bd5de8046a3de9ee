"""What a server does for secrets by itself: values drawn by chance are replaced when due, and nobody else's."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass, field
from typing import Any

import pytest

from policies.loading import load_documents
from swarmsec.secretbytes import SecretBytes
from swarmsec.server.metrics import Metrics
from swarmsec.services.access.apply_policy import apply_policies
from swarmsec.services.secrets.attach_secret import DRIVER_MODE, NATIVE_MODE
from swarmsec.services.secrets.keep_secrets import destroy_versions, put_secret
from swarmsec.wiring.serving import secretwork
from swarmsec.wiring.serving.secretwork import SecretWork
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.wiring.pretend_swarm import PowerCut
from tests.unit.swarmsec.wiring.secrets.secretworld import NAME, World

DAY = 86_400
LOOK_SHARE = secretwork.LOOK_SHARE
RULES = """
apiVersion: swarmsec.dev/v1
kind: RotationPolicy
metadata: {name: app}
spec:
  rules:
    - {secrets: ["team/app/*"], every: 30d, maxAge: 40d, length: 64, keep: 1%s}
"""


@dataclass
class Desk:
    """A server's work on secrets, round by round."""

    world: World
    said: list[str] = field(default_factory=list)
    metrics: Metrics = field(default_factory=lambda: Metrics(version="test"))

    def __post_init__(self) -> None:
        carrier: Any = lambda home: self.world.swarm  # noqa: E731
        writer: Any = None
        self.work = SecretWork(self.world.home, writer, self.world.keys, self.metrics, self.said.append, carrier)

    def round(self) -> None:
        store: Any = self.world.home.store
        self.work.work(store)

    def gauge(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


@pytest.fixture
def desk(world: World, monkeypatch: pytest.MonkeyPatch) -> Desk:
    # Each round looks, however long the one before took on a machine under load.
    monkeypatch.setattr(secretwork, "LOOK_SHARE", 0)
    apply(world)
    world.attach("shop_api", DRIVER_MODE)
    return Desk(world)


def apply(world: World, more: str = "") -> None:
    documents = load_documents((RULES % more).encode(), source="test")
    world.home.store.write(lambda transaction: apply_policies(transaction, documents, OPERATOR))


def draw(world: World) -> None:
    """Put a value in place that swarmsec drew by chance."""
    world.home.store.write(
        lambda transaction: put_secret(transaction, world.keys, NAME, SecretBytes(b"drawn"), OPERATOR, generated=True)
    )
    world.swarm.spec("id-shop_api")["Labels"] = {}


def test_a_value_that_was_drawn_is_replaced_when_it_is_due_and_not_before(desk: Desk) -> None:
    world = desk.world
    draw(world)
    world.clock.seconds += 30 * DAY - 1
    desk.round()
    assert world.current == 2

    world.clock.seconds += 1
    desk.round()
    assert (world.current, len(world.current_value()), world.is_open()) == (3, 64, False)
    assert world.read_by("shop_api") == world.current_value()
    assert world.states() == {1: "deleted", 2: "live", 3: "live"}
    assert "team/app/db was rotated" in desk.said
    assert desk.gauge("swarmsec_secret_rotations_total", result="done") == 1
    ours = [entry for entry in world.entries() if entry["outcome"] == "success"]
    assert {entry["actor"]["type"] for entry in ours} == {"service"}

    desk.round()
    assert world.current == 3


def test_a_value_that_somebody_gave_stays_and_is_reported(desk: Desk) -> None:
    desk.world.clock.seconds += 41 * DAY
    desk.round()
    assert (desk.world.current, desk.world.current_value()) == (1, b"old")
    assert desk.gauge("swarmsec_secret_rotation_overdue") == 1


def test_outside_its_window_nothing_begins(desk: Desk) -> None:
    world = desk.world
    draw(world)
    hour = int(world.clock.seconds) // 3600 % 24
    apply(world, f', window: "{(hour + 2) % 24:02}:00-{(hour + 3) % 24:02}:00"')
    world.clock.seconds += 30 * DAY
    desk.round()
    assert world.current == 2
    world.clock.seconds += 2 * 3600
    desk.round()
    assert world.current == 3


def test_a_value_that_tasks_fail_with_is_tried_again_a_day_later(desk: Desk) -> None:
    world = desk.world
    draw(world)
    world.swarm.accepts = lambda service, spec: spec.get("Labels", {}) == {}
    world.clock.seconds += 30 * DAY
    desk.round()
    assert (world.current, world.states()[3], world.is_open()) == (2, "deleted", False)
    assert desk.gauge("swarmsec_secret_rotations_total", result="failed") == 1

    world.swarm.accepts = lambda service, spec: True
    Desk(world).round()
    assert world.current == 2
    world.clock.seconds += DAY
    Desk(world).round()
    assert world.current == 4


def test_of_two_servers_one_rotates(desk: Desk) -> None:
    world = desk.world
    draw(world)
    world.clock.seconds += 30 * DAY
    other = Desk(world)
    seen: list[object] = []

    def accepts(service: str, spec: dict[str, Any]) -> bool:
        if not seen:
            seen.append(service)
            other.round()
        return True

    world.swarm.accepts = accepts
    desk.round()
    assert (seen, world.current) == (["shop_api"], 3)
    assert other.gauge("swarmsec_secret_rotations_total", result="done") is None


def test_what_ended_outside_a_rotation_leaves_docker_and_is_asked_about_once(desk: Desk) -> None:
    world = desk.world
    world.attach("shop_web", NATIVE_MODE)
    world.rotate(keep=2)
    names = {"team.app.db.v1", "team.app.db.v2"}

    def at_docker() -> set[str]:
        return names & {item["Spec"]["Name"] for item in world.swarm.kept.values()}

    desk.round()
    assert at_docker() == names
    world.home.store.write(lambda transaction: destroy_versions(transaction, NAME, (1,), OPERATOR))
    desk.round()
    assert at_docker() == {"team.app.db.v2"}
    calls = world.swarm.calls
    desk.round()
    assert world.swarm.calls == calls


def test_looking_for_old_values_takes_one_part_in_fifty_of_a_processor(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look of two seconds of processor time, as many old values take, is followed by a hundred seconds of none."""
    monkeypatch.setattr(secretwork, "LOOK_SHARE", LOOK_SHARE)
    spent = itertools.count(0.0, 2.0)
    monkeypatch.setattr(secretwork, "thread_time", lambda: next(spent))
    clock = desk.world.clock
    clock.seconds += 40 * DAY - 50
    desk.round()
    for seconds, overdue in ((30, 0), (50, 0), (19, 0), (2, 1)):
        clock.seconds += seconds
        desk.round()
        assert desk.gauge("swarmsec_secret_rotation_overdue") == overdue


def test_a_manager_that_is_away_is_said_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(desk.world)
    desk.world.clock.seconds += 30 * DAY
    desk.world.swarm.objects.clear()
    monkeypatch.setattr(desk.world.swarm, "services", unreachable)
    desk.round()
    desk.round()
    assert desk.said == ["warning: team/app/db was not rotated: no manager"]
    assert not desk.world.is_open()


def unreachable() -> Any:
    from swarmsec.errors import Unavailable

    raise Unavailable("no manager")


@pytest.mark.parametrize("at", range(4, 16, 3))
def test_what_a_process_that_died_left_is_gone_on_with(desk: Desk, at: int) -> None:
    """Of a command as of a server, at each call of Docker; it is not touched before its lease is over."""
    world = desk.world
    world.swarm.calls, world.swarm.cut_at = 0, at
    with contextlib.suppress(PowerCut):
        world.rotate(b"new")
    world.swarm.cut_at = 0
    was_open = world.is_open()
    desk.round()
    assert world.is_open() == was_open
    world.lose_power()
    desk.round()
    assert not world.is_open()
    assert world.read_by("shop_api") == (b"new" if was_open or world.current == 2 else b"old") == world.current_value()


def test_what_was_not_validated_is_given_up(desk: Desk) -> None:
    def die(value: SecretBytes) -> None:
        raise PowerCut

    with pytest.raises(PowerCut):
        desk.world.rotate(validate=die)
    desk.world.lose_power()
    desk.round()
    assert (desk.world.states(), desk.world.is_open()) == ({1: "live", 2: "destroyed"}, False)
    (end,) = [entry for entry in desk.world.entries() if entry["fields"]["step"] == "done"]
    assert (end["outcome"], end["reason"]) == ("failure", "interrupted before it was validated")


def test_a_rotation_that_a_person_stopped_is_theirs(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk.world.swarm, "change_service", interrupted)
    with pytest.raises(KeyboardInterrupt):
        desk.world.rotate(b"new")
    desk.world.lose_power()
    desk.round()
    assert desk.world.is_open()
    assert desk.gauge("swarmsec_secret_rotations_open") == 1


def interrupted(*_: Any) -> None:
    raise KeyboardInterrupt
