"""Publishing on a full disk: nothing is half published, the error says what to do, and it works once there is room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.commands import Commands
from tests.integration.storefixtures import Place, make_home, opened, verify_whole
from tests.integration.test_crash_trust import APP, versions
from tests.integration.test_store_disks import fill, mounted, small_disk, verify_refused
from tests.peers.oci_layouts import LayoutWriter
from tests.unit.swarmsec.services.trust.trustdesk import HomeFetcher

IMAGE = f"{APP}:1"


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    with Commands(os.environ) as running:
        yield running


@pytest.fixture(scope="module")
def signing(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A home that has signed an image."""
    place = make_home(tmp_path_factory.mktemp("signing") / "place")
    layout = LayoutWriter(place.root / "image")
    layout.add("1", "first")
    commands.run("--home", str(place.home), "trust", "init", "--yes", state=place.state).verify(0)
    commands.run(*sign(place, layout), state=place.state).verify(0)
    return place


def sign(place: Place, layout: LayoutWriter) -> list[str]:
    return ["--home", str(place.home), "image", "sign", f"oci:{layout.directory}:1", "--as", IMAGE]


def meaning(place: Place, cache: Path) -> str:
    """What the tag means to python-tuf's own client."""
    from tuf.ngclient import Updater

    cache.mkdir(exist_ok=True)
    with opened(place) as home:
        root = home.store.read(lambda transaction: transaction.trust.files.get("1.root.json"))
        updater = Updater(str(cache), "https://trust.example/tuf/", fetcher=HomeFetcher(home), bootstrap=root)
        found = updater.get_targetinfo(f"{APP}/1")
    assert found is not None
    return f"sha256:{found.hashes['sha256']}"


@pytest.mark.parametrize("free", [0, 6, 12, 18, 24, 36])
def test_a_publication_on_a_full_disk_is_refused_or_whole(
    commands: Commands, signing: Place, tmp_path: Path, free: int
) -> None:
    disk, cache = tmp_path / "disk", tmp_path / "cache"
    layout = LayoutWriter(tmp_path / "image")
    next_one = layout.add("1", "second")
    with mounted(disk, *small_disk(4096)):
        place = signing.copy(disk / "place")
        former, before = meaning(place, cache), versions(place, cache)
        fill(disk / "filler", free)
        ended = commands.run(*sign(place, layout), state=place.state)
        (disk / "filler").unlink()
        if ended.status == 0:
            assert meaning(place, cache) == next_one
        else:
            verify_refused(ended)
            assert (meaning(place, cache), versions(place, cache)) == (former, before)
        verify_whole(place)
        commands.run(*sign(place, layout), state=place.state).verify(0)
        assert meaning(place, cache) == next_one
        verify_whole(place)


def test_a_bundle_on_a_full_disk_is_refused_and_not_half_there(
    commands: Commands, signing: Place, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    with mounted(disk, *small_disk(2)):
        bundle = disk / "bundle.json"
        export = ["--home", str(signing.home), "trust", "export", "-o", str(bundle)]
        verify_refused(commands.run(*export, state=signing.state))
        assert list(disk.iterdir()) == []
        commands.run(*export[:-1], str(tmp_path / "bundle.json"), state=signing.state).verify(0)
