"""Export and pruning killed at their durable steps, and on a full disk: whole, or finished by the same command.

Appending and signing are met by every command that ``test_crash_commands`` kills: their steps are among its own.
``SWARMSEC_SOAK=1`` kills at every step, else at every third.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import SystemClock
from swarmsec.services.requester import SERVICE
from tests.integration.commands import SWEPT_CALLS, Commands, kills
from tests.integration.storefixtures import Place, make_home, opened, verify_whole
from tests.integration.test_store_disks import grow, mounted, small_disk, verify_refused
from tests.peers import tlog_checker


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    with Commands(os.environ) as running:
        yield running


def test_an_export_killed_at_any_step_claims_nothing_and_is_finished_by_the_next(
    commands: Commands, aged: Place, tmp_path: Path
) -> None:
    def arguments(place: Place) -> tuple[str, ...]:
        return ("--home", str(place.home), "audit", "export", "-o", str(place.root / "evidence"))

    counted = aged.copy(tmp_path / "place")
    ended, calls = commands.count_calls(*arguments(counted), state=counted.state, calls=SWEPT_CALLS)
    ended.verify(0)
    for kill in kills(calls, every=3):
        place = aged.copy(tmp_path / "place")
        commands.run(*arguments(place), state=place.state, kill=kill).verify(-9)
        evidence = place.root / "evidence"
        if (evidence / "checkpoint").exists():
            tlog_checker.export(evidence, key_of(evidence))
        verify_whole(place)
        commands.run(*arguments(place), state=place.state).verify(0)
        tlog_checker.export(evidence, key_of(evidence))


def key_of(evidence: Path) -> tlog_checker.Key:
    return tlog_checker.Key.read((evidence / "log.vkey").read_text().strip())


def prune(place: Place) -> tuple[str, ...]:
    return ("--home", str(place.home), "audit", "prune", "--keep", "1d")


@pytest.fixture(scope="module")
def aged(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A home that was made two years ago, as its clock said."""
    patch = pytest.MonkeyPatch()
    real = SystemClock.unix_ms
    patch.setattr(SystemClock, "unix_ms", lambda self: real(self) - 730 * 86_400_000)
    try:
        place = make_home(tmp_path_factory.mktemp("aged") / "place")
        event = SERVICE.event(Action.KEY_REWRAP, ObjectRef(type="test"))
        with opened(place) as home:
            home.store.write_group([lambda unit: unit.log(event)] * 600)
    finally:
        patch.undo()
    return place


def test_a_pruning_killed_at_any_step_leaves_a_whole_log_and_is_finished_by_the_next(
    commands: Commands, aged: Place, tmp_path: Path
) -> None:
    counted = aged.copy(tmp_path / "place")
    ended, calls = commands.count_calls(*prune(counted), state=counted.state, calls=SWEPT_CALLS)
    ended.verify(0)
    assert verify_whole(counted).pruned == 512
    for kill in kills(calls, every=3):
        place = aged.copy(tmp_path / "place")
        commands.run(*prune(place), state=place.state, kill=kill).verify(-9)
        assert verify_whole(place).pruned in {0, 512}, kill
        commands.run(*prune(place), state=place.state).verify(0)
        assert verify_whole(place).pruned == 512, kill


def test_an_export_to_a_full_disk_is_refused_and_done_once_there_is_room(
    commands: Commands, aged: Place, tmp_path: Path
) -> None:
    place = aged.copy(tmp_path / "place")
    disk = tmp_path / "disk"
    for form in ("tiles", "jsonl"):
        arguments = ("--home", str(place.home), "audit", "export", "--format", form, "-o", str(disk / form))
        with mounted(disk, *small_disk(12)):
            verify_refused(commands.run(*arguments, state=place.state))
            assert not (disk / form / "checkpoint").exists()
            grow(disk)
            commands.run(*arguments, state=place.state).verify(0)
            commands.run("audit", "verify", "--from", str(disk / form), state=place.state).verify(0)


def test_a_pruning_on_a_full_disk_leaves_a_whole_log(commands: Commands, aged: Place, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with mounted(disk, *small_disk(4096)):
        place = aged.copy(disk / "place")
        filler = disk / "filler"
        free = shutil.disk_usage(disk).free - 8 * 4096
        filler.write_bytes(bytes(free))
        ended = commands.run(*prune(place), state=place.state)
        assert ended.status in {0, 3}, ended
        filler.unlink()
        verify_whole(place)
        commands.run(*prune(place), state=place.state).verify(0)
        assert verify_whole(place).pruned == 512
