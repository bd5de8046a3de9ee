"""A publication or a ceremony killed at any step: clients see the repository before it or after it, never between.

As in ``test_crash_commands``: real kills at the calls that make files last; the judge is python-tuf's own client over
what the home has published when it is opened again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.commands import SWEPT_CALLS, Commands, kills
from tests.integration.storefixtures import Place, make_home, opened, verify_whole
from tests.peers.oci_layouts import LayoutWriter
from tests.unit.swarmsec.services.trust.trustdesk import HomeFetcher

APP = "registry.example/team/app"


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    with Commands(os.environ) as running:
        yield running


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A home that signs no images yet."""
    return make_home(tmp_path_factory.mktemp("plain") / "place")


Found = dict[str, int | str | None]


def versions(place: Place, cache: Path) -> Found | None:
    """What a stock client that starts from the first root finds; None where there is no repository yet."""
    from tuf.ngclient import Updater

    with opened(place) as home:
        fetcher = HomeFetcher(home)
        root = home.store.read(lambda transaction: transaction.trust.files.get("1.root.json"))
        if root is None:
            assert home.store.read(lambda transaction: transaction.trust.roles.all()) == []
            return None
        cache.mkdir(exist_ok=True)
        updater = Updater(str(cache), "https://trust.example/tuf/", fetcher=fetcher, bootstrap=root)
        updater.refresh()
        image = updater.get_targetinfo(f"{APP}/1")
        trusted = updater._trusted_set
        return {
            "root": trusted.root.version,
            "targets": trusted.targets.version,
            "snapshot": trusted.snapshot.version,
            "timestamp": trusted.timestamp.version,
            "image": None if image is None else image.hashes["sha256"],
        }


def everything(found: Found | None) -> object:
    return found


def sweep(
    commands: Commands,
    before: Place,
    tmp_path: Path,
    *words: str,
    settled: Callable[[Found | None], object] = everything,
) -> None:
    """Kill a command at each step; its outcome is all or nothing, and the same command then says or does the rest.

    ``settled`` is what the command leaves the same when it is done twice.
    """

    def arguments(place: Place) -> list[str]:
        return ["--home", str(place.home), *words]

    former = versions(before, tmp_path / "before")
    counted = before.copy(tmp_path / "place")
    ended, calls = commands.count_calls(*arguments(counted), state=counted.state, calls=SWEPT_CALLS)
    ended.verify(0)
    after = versions(counted, tmp_path / "after")
    assert after != former
    seen = []
    for number, kill in enumerate(kills(calls, every=2)):
        place = before.copy(tmp_path / "place")
        killed = commands.run(*arguments(place), state=place.state, kill=kill).verify(-9)
        verify_whole(place)
        found = versions(place, tmp_path / f"cache-{number}")
        assert found in (former, after), kill
        assert found == after or not killed.stdout, kill
        seen.append(found)
        again = commands.run(*arguments(place), state=place.state)
        assert settled(versions(place, tmp_path / f"cache-{number}")) == settled(after), (kill, again)
    assert former in seen
    assert after in seen


def test_a_publication_killed_at_any_step(commands: Commands, plain: Place, tmp_path: Path) -> None:
    place = plain.copy(tmp_path / "ready")
    commands.run("--home", str(place.home), "trust", "init", "--yes", state=place.state).verify(0)
    commands.run("--home", str(place.home), "trust", "delegate", "add", APP, state=place.state).verify(0)
    layout = LayoutWriter(tmp_path / "image")
    digest = layout.add("1", "one")

    def image(found: Found | None) -> object:
        assert found is not None
        return found["image"]

    sign = ("image", "sign", f"oci:{layout.directory}:1", "--as", f"{APP}:1")
    sweep(commands, place, tmp_path, *sign, settled=image)
    assert image(versions(Place(root=tmp_path / "place"), tmp_path / "last")) == digest.removeprefix("sha256:")


def test_the_first_root_of_a_home_killed_at_any_step(commands: Commands, plain: Place, tmp_path: Path) -> None:
    sweep(commands, plain, tmp_path, "trust", "init", "--yes")


def test_the_last_signature_of_a_ceremony_killed_at_any_step(commands: Commands, plain: Place, tmp_path: Path) -> None:
    place = plain.copy(tmp_path / "ready")
    public = []
    for name in ("alice", "bob"):
        file = tmp_path / f"{name}.key"
        commands.run("trust", "key", "create", str(file), "--plain", state=place.state).verify(0)
        public += ["--key", f"{file}.pub"]
    home = ["--home", str(place.home), "trust"]
    commands.run(*home, "init", *public, state=place.state).verify(0)
    commands.run(*home, "pending", "-o", str(tmp_path / "change.json"), state=place.state).verify(0)
    for name in ("alice", "bob"):
        sign = ["trust", "sign", str(tmp_path / "change.json"), "--yes", "--key", str(tmp_path / f"{name}.key")]
        commands.run(*sign, "-o", str(tmp_path / f"{name}.sig"), state=place.state).verify(0)
    commands.run(*home, "sign", str(tmp_path / "alice.sig"), state=place.state).verify(0)
    sweep(commands, place, tmp_path, "trust", "sign", str(tmp_path / "bob.sig"))
