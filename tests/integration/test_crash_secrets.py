"""Secrets commands as processes that are killed at durable steps and at calls of Docker: the next one finishes them.

Nothing is half done afterwards: services, Docker's secrets, what is on record and the log agree, and every intent in
the log has its outcome. The manager keeps what it was told, as a Swarm does.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from swarmsec.audit.entry import parse_entry
from swarmsec.secretstore.names import SecretName
from swarmsec.services.secrets.attach_intents import unfinished_attempts
from swarmsec.services.secrets.deliver_secret import version_label
from swarmsec.services.secrets.kept_secrets import find_secret, open_version
from swarmsec.storage.tables import audit_entries
from swarmsec.wiring.homes.home import Home
from tests.integration.commands import DURABLE_CALLS, Commands, Ended, Kill, kills
from tests.integration.storefixtures import Place, make_home, opened, verify_whole
from tests.peers.service_manager import ServiceManager

NAME = SecretName.parse("team/app/db")
SERVICES = ("shop_api", "shop_web")
ASKING_CALLS = ("sendto", "recvfrom")
CALLS = (*DURABLE_CALLS, *ASKING_CALLS)
"""What makes our side last, and what asks Docker and hears of it."""
EVERY = 9
"""Each run takes one place in so many, unless it soaks."""
MODES = pytest.mark.parametrize("mode", [(), ("--native",)], ids=["driver", "native"])
POLICY = """
apiVersion: swarmsec.dev/v1
kind: SecretAccessPolicy
metadata: {name: shop}
spec:
  rules:
    - {secrets: ["team/app/*"], services: ["shop_*"], effect: allow}
"""


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    with Commands(os.environ) as running:
        yield running


@dataclass(frozen=True)
class World:
    """A home with a secret, a manager with two services, and the program as processes of their own."""

    commands: Commands
    manager: ServiceManager
    finished: Place

    def arguments(self, place: Place, *words: str) -> tuple[str, ...]:
        return ("--home", str(place.home), "secrets", *words, "--docker", self.manager.url)

    def good(self, place: Place, *words: str) -> str:
        ended = self.commands.run(*self.arguments(place, *words), state=place.state)
        return ended.verify(0).stdout

    def killed(self, place: Place, kill: Kill, *words: str) -> Ended:
        """Run it and kill it there. An answer of Docker comes in one piece more or less, so the last may not be met."""
        ended = self.commands.run(*self.arguments(place, *words), state=place.state, kill=kill)
        return ended.verify(0 if kill.call in ASKING_CALLS and ended.status == 0 else -9)

    def places_to_kill(self, start: Place, scratch: Path, *words: str) -> list[Kill]:
        """Where this command can be killed; it did its work on a copy."""
        counted, saved = start.copy(scratch), self.manager.saved()
        ended, calls = self.commands.count_calls(*self.arguments(counted, *words), state=counted.state, calls=CALLS)
        ended.verify(0)
        self.manager.restore(saved)
        found = list(kills(calls, every=EVERY))
        assert {kill.call for kill in found} >= {"fdatasync", "sendto", "recvfrom"}, calls
        return found

    def current_value(self, home: Home) -> bytes:
        def unit(transaction: Any) -> bytes:
            kept = find_secret(transaction, NAME)
            return open_version(transaction, home.keys(), kept, kept.record.current).reveal()

        return home.store.read(unit)

    def read_by(self, home: Home, service: str) -> bytes:
        """What the tasks of a service get: from Docker itself, or from a driver by the service's label."""
        (reference,) = self.manager.references(service)
        kept_by_docker = self.manager.value(reference["SecretID"])
        if kept_by_docker:
            return kept_by_docker
        label = home.store.read(lambda transaction: version_label(transaction, home.keys(), NAME))
        number = int(self.manager.labels(service)[label])
        return home.store.read(
            lambda transaction: open_version(transaction, home.keys(), find_secret(transaction, NAME), number).reveal()
        )


@pytest.fixture(scope="module")
def world(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("crash")
    place = make_home(root / "finished")
    for name, text in (("old", "the old value"), ("new", "the new value"), ("policy.yaml", POLICY)):
        (root / name).write_text(text)
        (root / name).chmod(0o600)
    home = ("--home", str(place.home))
    create = ("secrets", "create", NAME.text, "--file", str(root / "old"))
    commands.run(*home, *create, state=place.state).verify(0)
    commands.run(*home, "policy", "apply", str(root / "policy.yaml"), state=place.state).verify(0)
    with ServiceManager(root / "docker.sock") as manager:
        yield World(commands=commands, manager=manager, finished=place)


@pytest.fixture(autouse=True)
def services(world: World) -> None:
    world.manager.restore(({}, {}))
    for name in SERVICES:
        world.manager.add_service(name)


def entries(home: Home) -> list[dict[str, Any]]:
    with home.store.reading() as transaction:
        found = transaction.connection.execute(audit_entries.select().order_by(audit_entries.c.seq))
        parsed = [dict(parse_entry(row.data)) for row in found]
    return [entry for entry in parsed if str(entry["action"]).startswith("secret.")]


def outcomes(found: list[dict[str, Any]], action: str) -> list[tuple[str, ...]]:
    """What each request of an action came to: the outcomes of its entries, in order."""
    requests: dict[str, list[str]] = {}
    for entry in found:
        if entry["action"] == action:
            requests.setdefault(entry["request_id"], []).append(entry["outcome"])
    return [tuple(outcome) for outcome in requests.values()]


@MODES
def test_an_attaching_that_was_killed_is_finished_by_the_same_command(
    world: World, tmp_path: Path, mode: tuple[str, ...]
) -> None:
    words = ("attach", NAME.text, "shop_api", *mode)
    docker_secret = f"{NAME.docker_name}.v1" if mode else NAME.docker_name
    saved, seen = world.manager.saved(), Counter[tuple[str, ...]]()
    for kill in world.places_to_kill(world.finished, tmp_path / "place", *words):
        place = world.finished.copy(tmp_path / "place")
        world.manager.restore(saved)
        world.killed(place, kill, *words)
        world.good(place, *words)
        with opened(place) as home:
            assert home.store.read(unfinished_attempts) == [], kill
            (attached,) = home.store.read(lambda transaction: transaction.attachments.of_secret(NAME.text))
            assert (attached.service_name, attached.docker_secret) == ("shop_api", docker_secret), kill
            assert world.read_by(home, "shop_api") == b"the old value", kill
            ended = outcomes(entries(home), "secret.attach")
        assert ended[-1] == ("intent", "success"), kill
        assert {len(outcome) for outcome in ended} == {2}, (kill, ended)
        assert world.manager.names() == [docker_secret], kill
        assert world.manager.references("shop_web") == []
        verify_whole(place)
        seen.update(ended[:-1])
    assert seen


@MODES
def test_a_detaching_that_was_killed_is_finished_by_the_same_command(
    world: World, tmp_path: Path, mode: tuple[str, ...]
) -> None:
    start = world.finished.copy(tmp_path / "attached")
    world.good(start, "attach", NAME.text, "shop_api", *mode)
    words = ("detach", NAME.text, "shop_api")
    saved = world.manager.saved()
    for kill in world.places_to_kill(start, tmp_path / "place", *words):
        place = start.copy(tmp_path / "place")
        world.manager.restore(saved)
        world.killed(place, kill, *words)
        again = world.commands.run(*world.arguments(place, *words), state=place.state)
        assert again.status == 0 or "is not attached" in again.stderr, (kill, again)
        with opened(place) as home:
            assert home.store.read(unfinished_attempts) == [], kill
            assert home.store.read(lambda transaction: transaction.attachments.of_secret(NAME.text)) == [], kill
            ended = outcomes(entries(home), "secret.detach")
        assert {len(outcome) for outcome in ended} == {2}, (kill, ended)
        assert (world.manager.references("shop_api"), world.manager.names()) == ([], []), kill
        verify_whole(place)


@MODES
def test_a_rotation_that_was_killed_goes_on_or_goes_back(world: World, tmp_path: Path, mode: tuple[str, ...]) -> None:
    start = world.finished.copy(tmp_path / "attached")
    for service in SERVICES:
        world.good(start, "attach", NAME.text, service, *mode)
    new = str(world.finished.root.parent / "new")
    words = ("rotate", NAME.text, "--file", new, "--validate", "true", "--keep", "1")
    saved, ways = world.manager.saved(), Counter[str]()
    for number, kill in enumerate(world.places_to_kill(start, tmp_path / "place", *words)):
        place = start.copy(tmp_path / "place")
        world.manager.restore(saved)
        killed = world.killed(place, kill, *words)
        way = ("--resume", "--validate", "true") if number % 2 else ("--rollback",)
        again = world.commands.run(*world.arguments(place, "rotate", NAME.text, *way), state=place.state)
        if "let it end" in again.stderr:
            # Every service has the new value; what they had before is being taken away.
            way = ("--resume",)
            again = world.commands.run(*world.arguments(place, "rotate", NAME.text, *way), state=place.state)
        was_open = again.status == 0
        assert was_open or "no rotation of" in again.stderr, (kill, again)
        with opened(place) as home:
            assert home.store.read(lambda transaction: transaction.secret_rotations.get(NAME.text)) is None, kill
            current = world.current_value(home)
            assert {world.read_by(home, service) for service in SERVICES} == {current}, kill
            found = [entry for entry in entries(home) if entry["action"] == "secret.rotate"]
        if was_open:
            assert current == (b"the old value" if way == ("--rollback",) else b"the new value"), kill
        if killed.stdout:
            assert current == b"the new value", kill
        assert not found or found[-1]["fields"]["step"] == "done", (kill, found[-1])
        assert len({entry["request_id"] for entry in found}) <= 1, kill
        kept = ["v1", "v2"] if current == b"the new value" else ["v1"]
        expected = [f"{NAME.docker_name}.{version}" for version in kept] if mode else [NAME.docker_name]
        assert world.manager.names() == expected, kill
        verify_whole(place)
        ways[f"{way[0]} {current.decode()}" if was_open else "not open"] += 1
    assert len(ways) >= 2, ways
