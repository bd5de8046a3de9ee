"""A command killed at any of its durable steps leaves a home that is whole, or that the same command makes whole.

The kills are real (strace sends SIGKILL as a system call is entered), the commands are the program's own. Each place
to kill is a call that moves a file or makes it last, one in three of them; with SWARMSEC_SOAK=1 every one, and every
call that writes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmsec.audit.entry import parse_entry
from swarmsec.storage.tables import audit_entries, leases
from tests.integration.commands import SWEPT_CALLS, Commands, Kill, kills
from tests.integration.storefixtures import Place, make_home, new_place, opened, verify_no_leftovers, verify_whole

EVERY = 3
"""Each run takes one place in so many, unless it soaks."""


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    with Commands(os.environ) as running:
        yield running


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A home to copy."""
    return make_home(tmp_path_factory.mktemp("finished") / "place")


def actions(place: Place) -> list[str]:
    with opened(place) as home, home.store.reading() as transaction:
        found = transaction.connection.execute(audit_entries.select().order_by(audit_entries.c.seq))
        return [str(parse_entry(row.data)["action"]) for row in found]


def init_arguments(place: Place) -> tuple[str, ...]:
    return ("--home", str(place.home), "--json", "ca", "init", "--recovery-out", str(place.recovery))


def test_init_killed_at_any_step_is_finished_by_the_same_command(commands: Commands, tmp_path: Path) -> None:
    counted = new_place(tmp_path / "counted")
    ended, calls = commands.count_calls(*init_arguments(counted), state=counted.state, calls=SWEPT_CALLS)
    ended.verify(0)
    assert sum(calls.values()) > 30, calls
    for kill in kills(calls, every=EVERY):
        place = new_place(tmp_path / f"{kill.call}-{kill.at}")
        commands.run(*init_arguments(place), state=place.state, kill=kill).verify(-9)
        again = commands.run(*init_arguments(place), state=place.state)
        assert again.status == 0 or "already" in again.stderr, (kill, again)
        verify_whole(place)
        assert actions(place).count("home.create") == 1, kill
        assert actions(place).count("ca.init") == 1, kill


def test_init_killed_before_it_showed_the_recovery_key_shows_one_that_counts(
    commands: Commands, finished: Place, tmp_path: Path
) -> None:
    arguments = ("--home", "HOME", "--json", "ca", "init")
    counted = new_place(tmp_path / "counted")
    named = [str(counted.home) if word == "HOME" else word for word in arguments]
    _, calls = commands.count_calls(*named, state=counted.state, calls=("fdatasync",))
    for at in range(calls["fdatasync"] // 2, calls["fdatasync"] + 1):
        place = new_place(tmp_path / f"at-{at}")
        named = [str(place.home) if word == "HOME" else word for word in arguments]
        commands.run(*named, state=place.state, kill=Kill(call="fdatasync", at=at)).verify(-9)
        again = commands.run(*named, state=place.state)
        if again.status == 0:
            place.recovery.write_text(again.stdout.partition('"recovery_key": "')[2].partition('"')[0])
            place.recovery.chmod(0o600)
        verify_whole(place)


def test_a_write_killed_at_any_step_is_done_or_not_and_what_was_answered_is_kept(
    commands: Commands, finished: Place, tmp_path: Path
) -> None:
    def arguments(place: Place, *more: str) -> tuple[str, ...]:
        return ("--home", str(place.home), "ca", "token", "worker", *more)

    before = commands.run(*arguments(finished), state=finished.state).verify(0).stdout
    counted = finished.copy(tmp_path / "place")
    ended, calls = commands.count_calls(*arguments(counted, "--rotate"), state=counted.state, calls=SWEPT_CALLS)
    ended.verify(0)
    done = 0
    for kill in kills(calls, every=EVERY):
        place = finished.copy(tmp_path / "place")
        killed = commands.run(*arguments(place, "--rotate"), state=place.state, kill=kill).verify(-9)
        verify_whole(place)
        now = commands.run(*arguments(place), state=place.state).verify(0).stdout
        rotations = actions(place).count("ca.token-rotate")
        assert (now != before) == (rotations == 1), kill
        if killed.stdout:
            assert killed.stdout == now, kill
        done += rotations
        commands.run(*arguments(place, "--rotate"), state=place.state).verify(0)
        verify_whole(place)
        assert not list(place.state.glob("*/.*")), kill
    assert 0 < done < len(kills(calls, every=EVERY))


def test_a_migration_killed_at_any_step_is_done_with_its_entry_or_not_at_all(
    commands: Commands, finished: Place, tmp_path: Path
) -> None:
    older = finished.copy(tmp_path / "older")
    with opened(older) as home, home.store.engine.connect() as connection, connection.begin():
        connection.exec_driver_sql("DROP TABLE policy_documents")
        connection.exec_driver_sql("DELETE FROM alembic_version WHERE version_num LIKE 'policies%'")
    counted = older.copy(tmp_path / "place")
    arguments = ("--home", str(counted.home), "ca", "show")
    ended, calls = commands.count_calls(*arguments, state=counted.state, calls=SWEPT_CALLS)
    ended.verify(0)
    assert actions(counted)[-1] == "home.migrate"
    for kill in kills(calls, every=EVERY):
        place = older.copy(tmp_path / "place")
        commands.run(*arguments, state=place.state, kill=kill).verify(-9)
        commands.run(*arguments, state=place.state).verify(0)
        verify_whole(place)
        assert actions(place).count("home.migrate") == 1, kill


def test_a_rotation_killed_at_any_step_is_finished_by_the_next_and_no_record_is_lost(
    commands: Commands, finished: Place, tmp_path: Path
) -> None:
    counted = finished.copy(tmp_path / "place")
    arguments = ("--home", str(counted.home), "keys", "rotate")
    ended, calls = commands.count_calls(*arguments, state=counted.state, calls=SWEPT_CALLS)
    ended.verify(0)
    before = terms_of(finished)
    for kill in kills(calls, every=EVERY):
        place = finished.copy(tmp_path / "place")
        commands.run(*arguments, state=place.state, kill=kill).verify(-9)
        verify_whole(place)
        wait_out_the_lease(place)
        commands.run(*arguments, state=place.state).verify(0)
        verify_whole(place)
        after = terms_of(place)
        assert len(after) > len(before), kill
        assert [state for state in after if state != "destroyed"] == ["active"], (kill, after)


def terms_of(place: Place) -> list[str]:
    with opened(place) as home:
        return [row.state for row in home.store.read(lambda transaction: transaction.key_terms.all())]


def wait_out_the_lease(place: Place) -> None:
    """Let the killed process's leases run out now; their rows are of no part of the log."""
    with opened(place) as home, home.store.exclusive() as connection:
        connection.execute(leases.delete())


def test_two_that_make_the_same_home_at_once_make_one(tmp_path: Path) -> None:
    place = new_place(tmp_path / "place")
    with Commands(os.environ) as first, Commands(os.environ) as second:
        running = [each.start("--home", str(place.home), "ca", "init", state=place.state) for each in (first, second)]
        ended = [each() for each in running]
    assert sorted(each.status for each in ended)[0] == 0, ended
    assert all(each.status in {0, 2} and "Traceback" not in each.stderr for each in ended), ended
    with opened(place) as home:
        home.keys()
    assert actions(place).count("home.create") == 1
    assert actions(place).count("ca.init") == 1
    verify_whole(place)
    verify_no_leftovers(place)


def test_an_answer_comes_after_the_log_is_on_disk(commands: Commands, finished: Place, tmp_path: Path) -> None:
    place = finished.copy(tmp_path / "place")
    order = commands.order_of_calls(
        "--home", str(place.home), "ca", "token", "worker", state=place.state, calls=("fdatasync", "write")
    )
    answered = next(number for number, line in enumerate(order) if line.startswith("write(1<"))
    assert any("state.db-wal" in line for line in order[:answered] if line.startswith("fdatasync"))
