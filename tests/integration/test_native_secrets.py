"""Commands that end versions of a native secret: Docker's own secrets of them go too, or it is said that they stay."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.commands import Commands
from tests.integration.storefixtures import Place, make_home
from tests.peers.service_manager import ServiceManager

NAME = "team/app/db"
POLICY = """
apiVersion: swarmsec.dev/v1
kind: SecretAccessPolicy
metadata: {name: shop}
spec:
  rules:
    - {secrets: ["team/app/*"], services: ["shop_*"], effect: allow}
"""


@pytest.fixture(scope="module")
def socket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("docker") / "d.sock"


@pytest.fixture(scope="module")
def commands(socket: Path) -> Iterator[Commands]:
    with Commands({**os.environ, "DOCKER_HOST": f"unix://{socket}"}) as running:
        yield running


@pytest.fixture
def manager(socket: Path) -> Iterator[ServiceManager]:
    socket.unlink(missing_ok=True)
    with ServiceManager(socket) as running:
        running.add_service("shop_api")
        yield running


@pytest.fixture
def place(commands: Commands, manager: ServiceManager, tmp_path: Path) -> Place:
    """Version 1 and 2 are at Docker, and the service uses the second."""
    made = make_home(tmp_path / "finished")
    for name, text in (("value", "one"), ("policy.yaml", POLICY)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    for words in (
        ("secrets", "create", NAME, "--file", str(tmp_path / "value")),
        ("policy", "apply", str(tmp_path / "policy.yaml")),
        ("secrets", "attach", NAME, "shop_api", "--native"),
        ("secrets", "rotate", NAME, "--generate"),
    ):
        commands.run("--home", str(made.home), *words, state=made.state).verify(0)
    assert sorted(manager.names()) == ["team.app.db.v1", "team.app.db.v2"]
    return made


@pytest.mark.parametrize(
    "words",
    [("put", NAME, "--generate", "--max-versions", "2"), ("destroy", NAME, "--version", "1", "--yes")],
    ids=["put", "destroy"],
)
def test_a_version_that_ends_leaves_docker_with_it(
    commands: Commands, manager: ServiceManager, place: Place, words: tuple[str, ...]
) -> None:
    ended = commands.run("--home", str(place.home), "secrets", *words, state=place.state).verify(0)
    assert "Docker" not in ended.stderr
    assert manager.names() == ["team.app.db.v2"]
    told = commands.run("--home", str(place.home), "secrets", "delete", NAME, "--version", "2", state=place.state)
    assert "the Docker secret team.app.db.v2 stays, for a service uses it" in told.verify(0).stderr
    assert manager.names() == ["team.app.db.v2"]


def test_where_no_engine_answers_it_is_said_that_it_stays(commands: Commands, place: Place, socket: Path) -> None:
    socket.unlink()
    ended = commands.run("--home", str(place.home), "secrets", "destroy", NAME, "--version", "1", state=place.state)
    assert "stay until serve or the next rotation" in ended.verify(0).stderr
    shown = commands.run("--home", str(place.home), "secrets", "versions", NAME, state=place.state).verify(0)
    assert "destroyed" in shown.stdout


def test_bringing_a_version_back_says_nothing_of_another(
    commands: Commands, manager: ServiceManager, place: Place
) -> None:
    for verb, number in (("delete", "2"), ("delete", "1"), ("undelete", "1")):
        words = ("secrets", verb, NAME, "--version", number)
        done = commands.run("--home", str(place.home), *words, state=place.state).verify(0)
        assert ("team.app.db.v2 stays" in done.stderr) == (verb == "delete")
    assert manager.names() == ["team.app.db.v2"]
