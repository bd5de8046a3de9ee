"""A backup is whole or not there, replaces nothing, and is on record from its beginning to its end."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import ObjectRef
from swarmsec.errors import AlreadyExists, IntegrityFailure, NotFound, Unavailable, UsageProblem
from swarmsec.keys.backupfile import read_backup
from swarmsec.keys.recovery import RecoveryKey
from swarmsec.keys.signers import SealedKeys
from swarmsec.services.homes.back_up import BackupPlan, begin_backup, note_written
from swarmsec.services.homes.backup_archive import parse_header
from swarmsec.services.ports import Transaction
from swarmsec.services.records import Intent
from swarmsec.storage.tables import audit_entries
from swarmsec.wiring.homes.backups import BackedUp, Watcher, back_up, backup_turn
from swarmsec.wiring.homes.home import Home
from swarmsec.wiring.homes.intents import Resolved, resolve_intents
from tests.unit.swarmsec.homes import OPERATOR, make_home

WATCHER = Watcher(begins=lambda rows: None, moved=lambda rows: None)
EVENT = OPERATOR.event(Action.SERVE_START, ObjectRef(type="home"))
REQUEST = "0196a2f0-0000-7000-8000-000000000001"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Home, SealedKeys, RecoveryKey]]:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    home, keys, recovery = make_home(tmp_path / "home")
    yield home, keys, recovery
    home.close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups" / "home.age"


def backup_to(home: Home, keys: SealedKeys, path: Path, watcher: Watcher = WATCHER) -> BackedUp:
    return back_up(home, keys, path, OPERATOR, watcher)


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def backup_entries(home: Home) -> list[dict[str, object]]:
    with home.store.reading() as transaction:
        rows = transaction.connection.execute(audit_entries.select().order_by(audit_entries.c.seq)).all()
    entries = [json.loads(row.data) for row in rows]
    return [entry for entry in entries if entry["action"] == "backup.create"]


def open_intents(home: Home) -> list[Intent]:
    return list(home.store.read(lambda transaction: transaction.intents.all()))


def test_the_file_is_private_whole_and_the_only_one(made: tuple[Home, SealedKeys, RecoveryKey], target: Path) -> None:
    home, keys, recovery = made
    size = home.store.head().size
    done = backup_to(home, keys, target)
    assert names_in(target.parent) == [target.name]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert (done.bytes, done.sha256) == (target.stat().st_size, hashlib.sha256(target.read_bytes()).hexdigest())
    lines: list[bytes] = []
    with target.open("rb") as file:
        read_backup(file, recovery, lines.append)
    header = parse_header(lines[0])
    # The one entry more is that the backup began.
    assert (header.store_id, header.size) == (home.store_id, size + 1) == (done.store_id, done.entries)
    assert len(lines) == header.rows + 1
    assert header.root_key == keys.ring.root


def test_beginning_hash_and_end_are_entries_under_one_request(
    made: tuple[Home, SealedKeys, RecoveryKey], target: Path
) -> None:
    home, keys, _ = made
    done = backup_to(home, keys, target)
    began, wrote, ended = backup_entries(home)
    assert [entry["outcome"] for entry in (began, wrote, ended)] == ["intent", "intent", "success"]
    assert len({str(entry["request_id"]) for entry in (began, wrote, ended)}) == 1
    assert wrote["fields"] == ended["fields"] == {"bytes": done.bytes, "sha256": done.sha256}
    assert open_intents(home) == []


def test_two_backups_in_a_row_differ_only_by_what_was_logged(
    made: tuple[Home, SealedKeys, RecoveryKey], target: Path
) -> None:
    home, keys, _ = made
    first = backup_to(home, keys, target)
    second = backup_to(home, keys, target.with_name("second.age"))
    assert second.entries == first.entries + 3


@pytest.mark.parametrize("kind", ["file", "link", "directory"])
def test_what_exists_is_never_replaced(made: tuple[Home, SealedKeys, RecoveryKey], target: Path, kind: str) -> None:
    home, keys, _ = made
    if kind == "file":
        target.write_bytes(b"precious")
    elif kind == "link":
        target.symlink_to("nowhere")
    else:
        target.mkdir()
    with pytest.raises(AlreadyExists, match="is a directory" if kind == "directory" else "exists"):
        backup_to(home, keys, target)
    assert backup_entries(home) == []


def test_a_name_that_appears_meanwhile_is_not_replaced(
    made: tuple[Home, SealedKeys, RecoveryKey], target: Path
) -> None:
    home, keys, _ = made
    with pytest.raises(AlreadyExists):
        backup_to(home, keys, target, Watcher(begins=lambda rows: target.touch(), moved=lambda rows: None))
    assert target.read_bytes() == b""
    assert names_in(target.parent) == [target.name]
    assert [entry["outcome"] for entry in backup_entries(home)] == ["intent", "intent", "failure"]


def test_a_missing_directory_is_named(made: tuple[Home, SealedKeys, RecoveryKey], target: Path) -> None:
    home, keys, _ = made
    with pytest.raises(NotFound, match="no directory"):
        backup_to(home, keys, target.parent / "missing" / "home.age")


def test_a_name_that_the_log_cannot_have_is_usage(made: tuple[Home, SealedKeys, RecoveryKey], target: Path) -> None:
    home, keys, _ = made
    with pytest.raises(UsageProblem, match="UTF-8"):
        backup_to(home, keys, target.with_name("\udcff.age"))
    assert backup_entries(home) == []


def test_a_home_whose_lock_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"backup\.lock"), backup_turn(tmp_path / "missing"):
        pass


def test_a_home_without_recovery_key_says_what_to_do(made: tuple[Home, SealedKeys, RecoveryKey], target: Path) -> None:
    home, keys, _ = made
    with home.store.exclusive() as connection:
        connection.exec_driver_sql("DELETE FROM settings WHERE name = 'recovery_recipient'")
    with pytest.raises(NotFound, match="no recovery key"):
        backup_to(home, keys, target)
    assert not target.exists()


def test_a_home_that_is_not_whole_is_not_backed_up(made: tuple[Home, SealedKeys, RecoveryKey], target: Path) -> None:
    home, keys, _ = made
    with home.store.exclusive() as connection:
        connection.exec_driver_sql("DELETE FROM join_tokens")
    with pytest.raises(IntegrityFailure, match="missing"):
        backup_to(home, keys, target)
    assert names_in(target.parent) == []
    assert [entry["outcome"] for entry in backup_entries(home)] == ["intent", "failure"]


def test_an_interruption_leaves_no_file_and_is_on_record(
    made: tuple[Home, SealedKeys, RecoveryKey], target: Path
) -> None:
    home, keys, _ = made

    def interrupt(rows: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backup_to(home, keys, target, Watcher(begins=lambda rows: None, moved=interrupt))
    assert names_in(target.parent) == []
    assert backup_entries(home)[-1]["outcome"] == "failure"


def test_a_directory_that_cannot_be_written_is_unavailable(
    made: tuple[Home, SealedKeys, RecoveryKey], target: Path
) -> None:
    home, keys, _ = made
    with pytest.raises(Unavailable, match="could not be written"):
        backup_to(home, keys, target.with_name("x" * 250))
    assert backup_entries(home)[-1]["outcome"] == "failure"


def test_what_is_written_meanwhile_is_not_in_the_snapshot(
    made: tuple[Home, SealedKeys, RecoveryKey], target: Path
) -> None:
    home, keys, recovery = made

    def write_more(rows: int) -> None:
        home.store.write(lambda transaction: transaction.log(EVENT))

    done = backup_to(home, keys, target, Watcher(begins=write_more, moved=lambda rows: None))
    lines: list[bytes] = []
    with target.open("rb") as file:
        read_backup(file, recovery, lines.append)
    assert parse_header(lines[0]).size == done.entries < home.store.head().size - 2


def began(home: Home, target: Path, *, host: str | None = None, temporary: str | None = None) -> BackupPlan:
    plan = BackupPlan(
        request_id=REQUEST,
        host=host or os.uname().nodename,
        path=str(target),
        temporary=temporary or str(target.with_name(f".{target.name}.0011223344556677.partial")),
    )
    home.store.write(partial(begin_backup, requester=OPERATOR, plan=plan))
    return plan


def wrote(home: Home, plan: BackupPlan, content: bytes) -> None:
    digest = hashlib.sha256(content).hexdigest()
    home.store.write(partial(note_written, requester=OPERATOR, plan=plan, sha256=digest, size=len(content)))


def expected(target: Path, outcome: Outcome) -> list[Resolved]:
    return [Resolved(request_id=REQUEST, action="backup.create", outcome=outcome, path=str(target))]


def test_killed_before_the_file_was_whole_counts_as_failed_and_leaves_nothing(
    made: tuple[Home, SealedKeys, RecoveryKey], target: Path
) -> None:
    home, *_ = made
    plan = began(home, target)
    Path(plan.temporary).write_bytes(b"half")
    assert resolve_intents(home) == expected(target, Outcome.FAILURE)
    assert names_in(target.parent) == []
    last = backup_entries(home)[-1]
    assert (last["outcome"], last["request_id"], last["fields"]) == ("failure", REQUEST, {"resolved": True})
    assert resolve_intents(home) == []


def test_killed_before_the_file_had_its_name_counts_as_failed(
    made: tuple[Home, SealedKeys, RecoveryKey], target: Path
) -> None:
    home, *_ = made
    plan = began(home, target)
    Path(plan.temporary).write_bytes(b"whole")
    wrote(home, plan, b"whole")
    assert resolve_intents(home) == expected(target, Outcome.FAILURE)
    assert names_in(target.parent) == []


@pytest.mark.parametrize("both_names", [False, True])
def test_killed_after_the_file_had_its_name_counts_as_done(
    made: tuple[Home, SealedKeys, RecoveryKey], target: Path, both_names: bool
) -> None:
    home, *_ = made
    plan = began(home, target)
    target.write_bytes(b"whole")
    if both_names:
        os.link(target, plan.temporary)
    wrote(home, plan, b"whole")
    assert resolve_intents(home) == expected(target, Outcome.SUCCESS)
    assert names_in(target.parent) == [target.name]


@pytest.mark.parametrize("kind", ["content", "link", "directory"])
def test_another_file_of_that_name_is_not_taken_for_the_backup(
    made: tuple[Home, SealedKeys, RecoveryKey], target: Path, kind: str
) -> None:
    home, *_ = made
    plan = began(home, target)
    if kind == "content":
        target.write_bytes(b"another")
    elif kind == "link":
        target.with_name("elsewhere").write_bytes(b"whole")
        target.symlink_to("elsewhere")
    else:
        target.mkdir()
    wrote(home, plan, b"whole")
    assert resolve_intents(home) == expected(target, Outcome.FAILURE)
    assert os.path.lexists(target)


def test_only_a_name_that_a_backup_gives_is_ever_removed(
    made: tuple[Home, SealedKeys, RecoveryKey], target: Path
) -> None:
    home, *_ = made
    precious = target.with_name("precious")
    precious.write_bytes(b"precious")
    began(home, target, temporary=str(precious))
    assert resolve_intents(home) == expected(target, Outcome.FAILURE)
    assert precious.read_bytes() == b"precious"


def test_what_a_living_process_is_at_is_left_to_it(made: tuple[Home, SealedKeys, RecoveryKey], target: Path) -> None:
    home, *_ = made
    began(home, target)
    with backup_turn(home.path) as ours:
        assert ours
        assert resolve_intents(home) == ()
    assert len(open_intents(home)) == 1


def test_the_turn_to_back_up_is_one_processes(made: tuple[Home, SealedKeys, RecoveryKey]) -> None:
    home, *_ = made
    with backup_turn(home.path) as first, backup_turn(home.path) as second:
        assert (first, second) == (True, False)
    with backup_turn(home.path) as again:
        assert again


def test_an_intent_of_another_action_is_left_alone(made: tuple[Home, SealedKeys, RecoveryKey]) -> None:
    home, *_ = made
    other = Intent(request_id=REQUEST, action="swarm.trust", started=1, data="{}")

    def begin_other(transaction: Transaction) -> None:
        transaction.intents.open(other)
        transaction.log(EVENT)

    home.store.write(begin_other)
    assert resolve_intents(home) == []
    assert open_intents(home) == [other]


def test_an_unreadable_intent_is_an_integrity_failure(made: tuple[Home, SealedKeys, RecoveryKey]) -> None:
    home, *_ = made
    foreign = Intent(request_id=REQUEST, action="backup.create", started=1, data='{"path":1}')

    def begin_foreign(transaction: Transaction) -> None:
        transaction.intents.open(foreign)
        transaction.log(EVENT)

    home.store.write(begin_foreign)
    with pytest.raises(IntegrityFailure):
        resolve_intents(home)
