"""Full and read-only file systems: a clear word, exit code 3, nothing half done, and the same command works later."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from swarmsec.storage.checking import verify_store
from swarmsec.storage.errors import StoreUnwritable
from tests.integration.commands import Commands, Ended
from tests.integration.storecontract import put
from tests.integration.storefixtures import Place, make_home, new_place, opened, verify_whole

PAGE = 4096


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    with Commands(os.environ) as running:
        yield running


@contextmanager
def mounted(directory: Path, *options: str) -> Iterator[None]:
    """A file system at a directory for as long as the body runs."""
    directory.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", *options, str(directory)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def small_disk(pages: int) -> list[str]:
    return ["-t", "tmpfs", "-o", f"size={pages * PAGE},mode=0700", "tmpfs"]


def grow(directory: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=16m", str(directory)], check=True)


def verify_refused(ended: Ended) -> None:
    """Exit code 3, one error that a person can act on, and nothing on standard output."""
    ended.verify(3)
    assert ended.stderr.startswith("error: ") or "\nerror: " in ended.stderr, ended
    assert "\nhint: " in ended.stderr, ended
    assert "None" not in ended.stderr, ended
    assert ended.stdout == "", ended


def init(commands: Commands, place: Place) -> Ended:
    return commands.run(
        "--home", str(place.home), "ca", "init", "--recovery-out", str(place.recovery), state=place.state
    )


@pytest.mark.parametrize("pages", [1, 4, 8, 24, 44, 48, 64, 80, 96, 112])
def test_init_on_a_full_disk_is_refused_and_done_once_there_is_room(
    commands: Commands, tmp_path: Path, pages: int
) -> None:
    disk = tmp_path / "disk"
    with mounted(disk, *small_disk(pages)):
        place = Place(root=disk / "place")
        ended = commands.run("--home", str(place.home), "ca", "init", state=place.state)
        if ended.status != 0:
            verify_refused(ended)
            grow(disk)
            ended = commands.run("--home", str(place.home), "ca", "init", state=place.state)
        ended.verify(0)
        assert "AGE-SECRET-KEY-1" in ended.stdout
        place.recovery.parent.mkdir()
        place.recovery.write_text(ended.stdout)
        place.recovery.chmod(0o600)
        verify_whole(place)


@pytest.mark.parametrize("free", range(0, 20, 4))
def test_a_write_on_a_full_disk_is_refused_or_whole_and_works_again_once_there_is_room(
    commands: Commands, tmp_path: Path, free: int
) -> None:
    disk = tmp_path / "disk"
    with mounted(disk, *small_disk(4096)):
        place = make_home(disk / "place")
        before = _worker_token(commands, place)
        filler = disk / "filler"
        fill(filler, free)
        ended = commands.run("--home", str(place.home), "ca", "token", "worker", "--rotate", state=place.state)
        filler.unlink()
        if ended.status == 0:
            assert ended.stdout == _worker_token(commands, place)
        else:
            verify_refused(ended)
            assert _worker_token(commands, place) == before
        verify_whole(place)
        commands.run("--home", str(place.home), "ca", "token", "worker", "--rotate", state=place.state).verify(0)
        assert _worker_token(commands, place) != before
        verify_whole(place)


def _worker_token(commands: Commands, place: Place) -> str:
    return commands.run("--home", str(place.home), "ca", "token", "worker", state=place.state).verify(0).stdout


def fill(filler: Path, free: int) -> None:
    """Fill the disk but for some pages."""
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(PAGE))
        except OSError:
            pass
        file.truncate(max(0, file.tell() - free * PAGE))


def test_a_store_on_a_full_disk_goes_on_in_the_same_process_once_there_is_room(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with mounted(disk, *small_disk(4096)):
        place = make_home(disk / "place")
        with opened(place) as home:
            home.store.anchor = None
            home.store.write(put("name", "before"))
            fill(disk / "filler", 0)
            size = home.store.head().size
            outcomes = home.store.write_group([put("name", "lost"), *(put(f"n{i}", "x" * 500) for i in range(100))])
            assert all(isinstance(outcome.error, StoreUnwritable) for outcome in outcomes), outcomes[0]
            assert home.store.head().size == size
            (disk / "filler").unlink()
            home.store.write(put("name", "after"))
            assert home.store.read(lambda transaction: transaction.settings.get("name")) == "after"
            assert verify_store(home.store).entries == size + 1


def test_a_read_only_home_is_refused_in_words(commands: Commands, tmp_path: Path) -> None:
    place = make_home(tmp_path / "place")
    with mounted(place.home, "--bind", str(place.home)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(place.home)], check=True)
        for words in (("ca", "token", "worker"), ("ca", "token", "worker", "--rotate"), ("ca", "init")):
            verify_refused(commands.run("--home", str(place.home), *words, state=place.state))
    verify_whole(place)


def test_a_home_that_cannot_be_made_on_a_read_only_disk_is_refused_in_words(commands: Commands, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with mounted(disk, "-t", "tmpfs", "-o", "ro", "tmpfs"):
        for place in (Place(root=disk), Place(root=disk / "deeper")):
            verify_refused(commands.run("--home", str(place.home), "ca", "init", state=place.state))


def test_a_state_directory_that_cannot_be_written_is_refused_in_words_and_init_finished_later(
    commands: Commands, tmp_path: Path
) -> None:
    place = new_place(tmp_path / "place")
    with mounted(place.state, "-t", "tmpfs", "-o", "ro", "tmpfs"):
        verify_refused(init(commands, place))
    place.state.chmod(0o700)
    init(commands, place).verify(0)
    verify_whole(place)


def test_a_home_whose_anchor_cannot_be_written_says_so_and_refuses_the_next_write(
    commands: Commands, tmp_path: Path
) -> None:
    place = make_home(tmp_path / "place")
    with mounted(place.state, "--bind", str(place.state)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(place.state)], check=True)
        rotate = ("--home", str(place.home), "ca", "token", "worker", "--rotate")
        ended = commands.run(*rotate, state=place.state)
        ended.verify(0)
        assert "anchor" in ended.stderr
        assert "warning" in ended.stderr
        for _ in range(2):
            verify_refused(commands.run(*rotate, state=place.state))
        commands.run("--home", str(place.home), "ca", "list", state=place.state).verify(0)
    assert _worker_token(commands, place) == ended.stdout
    verify_whole(place)
