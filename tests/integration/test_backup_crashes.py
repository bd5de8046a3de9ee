"""Backup, restore, acceptance and key rotation killed at any durable step: no half file, no half home, repeatable.

As in test_crash_commands: the kills are real, the commands the program's own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmsec.audit.entry import parse_entry
from swarmsec.services.homes.rotate_keys import LEASE, list_terms
from swarmsec.storage.tables import audit_entries, leases
from swarmsec.storage.transaction import Transaction
from swarmsec.wiring.homes.intents import resolve_intents
from tests.integration.commands import SWEPT_CALLS, Commands, Ended, Kill, kills
from tests.integration.storefixtures import Place, make_home, opened, verify_whole

EVERY = 3
"""Each run takes one place in so many, unless it soaks."""


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    with Commands(os.environ) as running:
        yield running


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A home to copy, with a place for its backups."""
    place = make_home(tmp_path_factory.mktemp("finished") / "place")
    backups_of(place).mkdir()
    return place


@pytest.fixture(scope="module")
def backed_up(commands: Commands, finished: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The same with a backup, and without the home: an empty machine."""
    place = finished.copy(tmp_path_factory.mktemp("backed-up") / "place")
    commands.run(*backup_arguments(place), state=place.state).verify(0)
    shutil.rmtree(place.home)
    shutil.rmtree(place.state)
    return place


def backups_of(place: Place) -> Path:
    return place.root / "backups"


def backup_arguments(place: Place) -> tuple[str, ...]:
    return ("--home", str(place.home), "backup", str(backups_of(place) / "home.age"))


def restore_arguments(place: Place) -> tuple[str, ...]:
    file = backups_of(place) / "home.age"
    return ("--home", str(place.home), "restore", str(file), "--recovery-key", str(place.recovery))


def accept_arguments(place: Place) -> tuple[str, ...]:
    return ("--home", str(place.home), "restore", "--accept")


def entries(place: Place, action: str) -> list[dict[str, object]]:
    with opened(place) as home, home.store.reading() as transaction:
        found = transaction.connection.execute(audit_entries.select().order_by(audit_entries.c.seq))
        parsed = [parse_entry(row.data) for row in found]
    return [entry for entry in parsed if entry["action"] == action]


def is_restorable(commands: Commands, place: Place, scratch: Path) -> bool:
    shutil.rmtree(scratch, ignore_errors=True)
    file = backups_of(place) / "home.age"
    home = ("--home", str(scratch / "home"))
    arguments = (*home, "restore", str(file), "--recovery-key", str(place.recovery), "--accept")
    return commands.run(*arguments, state=scratch / "state").status == 0


def test_a_backup_killed_at_any_step_is_whole_or_not_there(commands: Commands, finished: Place, tmp_path: Path) -> None:
    counted = finished.copy(tmp_path / "place")
    ended, calls = commands.count_calls(*backup_arguments(counted), state=counted.state, calls=SWEPT_CALLS)
    ended.verify(0)
    published = 0
    for kill in kills(calls, every=EVERY):
        place = finished.copy(tmp_path / "place")
        file = backups_of(place) / "home.age"
        commands.run(*backup_arguments(place), state=place.state, kill=kill).verify(-9)
        was_there = file.exists()
        if was_there:
            published += 1
            assert is_restorable(commands, place, tmp_path / "scratch"), kill
        again = commands.run(*backup_arguments(place), state=place.state)
        assert again.status == (2 if was_there else 0), (kill, again)
        assert [path.name for path in backups_of(place).iterdir()] == ["home.age"], kill
        verify_whole(place)
        verify_concluded(place, was_there=was_there, again=again)
    assert 0 < published < len(kills(calls, every=EVERY))


def verify_concluded(place: Place, *, was_there: bool, again: Ended) -> None:
    """Every beginning in the log has exactly one end, and a file that is there was not called a failure."""
    ends: dict[str, list[str]] = {}
    for entry in entries(place, "backup.create"):
        ends.setdefault(str(entry["request_id"]), []).append(str(entry["outcome"]))
    for outcomes in ends.values():
        assert outcomes[-1] in {"success", "failure"}
        assert set(outcomes[:-1]) == {"intent"}
    assert sum(outcomes[-1] == "success" for outcomes in ends.values()) == 1
    if was_there:
        assert "exists" in again.stderr
    with opened(place) as home:
        assert list(resolve_intents(home)) == []


def test_a_restore_killed_at_any_step_leaves_no_home_or_a_whole_one(
    commands: Commands, backed_up: Place, tmp_path: Path
) -> None:
    counted = backed_up.copy(tmp_path / "place")
    ended, calls = commands.count_calls(*restore_arguments(counted), state=counted.state, calls=SWEPT_CALLS)
    ended.verify(0)
    done = 0
    for kill in kills(calls, every=EVERY):
        place = backed_up.copy(tmp_path / "place")
        commands.run(*restore_arguments(place), state=place.state, kill=kill).verify(-9)
        listed = commands.run("--home", str(place.home), "ca", "list", state=place.state)
        assert listed.status == 2, (kill, listed)
        again = commands.run(*restore_arguments(place), state=place.state)
        if again.status != 0:
            assert "there is a home" in again.verify(2).stderr, (kill, again)
            done += 1
        commands.run(*accept_arguments(place), state=place.state).verify(0)
        verify_whole(place)
        assert len(entries(place, "backup.restore")) == 1, kill
    assert 0 < done < len(kills(calls, every=EVERY))


def test_an_acceptance_killed_at_any_step_is_finished_by_the_same_command(
    commands: Commands, backed_up: Place, tmp_path: Path
) -> None:
    restored = backed_up.copy(tmp_path / "restored")
    commands.run(*restore_arguments(restored), state=restored.state).verify(0)
    counted = restored.copy(tmp_path / "place")
    ended, calls = commands.count_calls(*accept_arguments(counted), state=counted.state, calls=SWEPT_CALLS)
    ended.verify(0)
    for kill in kills(calls, every=EVERY):
        place = restored.copy(tmp_path / "place")
        commands.run(*accept_arguments(place), state=place.state, kill=kill).verify(-9)
        again = commands.run(*accept_arguments(place), state=place.state)
        assert again.status == 0 or "waits to be accepted" in again.verify(2).stderr, (kill, again)
        verify_whole(place)
        assert [entry["outcome"] for entry in entries(place, "backup.accept")] == ["intent", "success"], kill
        assert len(entries(place, "ca.token-rotate")) == 2, kill


def end_lease(transaction: Transaction) -> None:
    """As time does for a process that died."""
    row = transaction.find(leases, name=LEASE)
    if row is not None:
        transaction.leases.release(LEASE, int(row["fence"]))


def test_a_rotation_killed_at_any_step_is_continued_by_the_same_command(
    commands: Commands, finished: Place, tmp_path: Path
) -> None:
    def arguments(place: Place) -> tuple[str, ...]:
        return ("--home", str(place.home), "--json", "keys", "rotate")

    counted = finished.copy(tmp_path / "place")
    ended, calls = commands.count_calls(*arguments(counted), state=counted.state, calls=SWEPT_CALLS)
    ended.verify(0)
    resumed = 0
    for kill in kills(calls, every=EVERY):
        place = finished.copy(tmp_path / "place")
        commands.run(*arguments(place), state=place.state, kill=kill).verify(-9)
        verify_whole(place)
        with opened(place) as home:
            home.store.write(end_lease)
        again = commands.run(*arguments(place), state=place.state).verify(0)
        verify_whole(place)
        with opened(place) as home:
            terms = home.store.read(list_terms)
        assert [item.state for item in terms[:-1]] == ["destroyed"] * (len(terms) - 1), kill
        assert terms[-1].state == "active"
        if '"resumed": true' in again.stdout:
            assert len(terms) == 2, kill
            assert "continuing an unfinished rotation" in again.stderr
            resumed += 1
    assert 0 < resumed < len(kills(calls, every=EVERY))


def test_whoever_comes_after_a_dead_rotation_waits_for_its_lease_and_goes_on(
    commands: Commands, finished: Place, tmp_path: Path
) -> None:
    for at in range(1, 20):
        place = finished.copy(tmp_path / "place")
        arguments = ("--home", str(place.home), "keys", "rotate")
        commands.run(*arguments, state=place.state, kill=Kill(call="fdatasync", at=at)).verify(-9)
        if entries(place, "key.rotate"):
            break
    assert not entries(place, "key.destroy")
    again = commands.run(*arguments, state=place.state).verify(0)
    assert "following the rotation" in again.stderr
    assert "continuing an unfinished rotation" in again.stderr
    assert len(entries(place, "key.rewrap")) == len(entries(place, "key.rotate")) == 1
