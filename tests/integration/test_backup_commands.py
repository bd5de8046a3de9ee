"""What the commands around keys and backups answer: exit codes, JSON, and words that say what to do."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmsec.wiring.homes.backups import backup_turn
from tests.integration.commands import Commands, Ended
from tests.integration.storefixtures import Place, make_home


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    with Commands(os.environ) as running:
        yield running


@pytest.fixture(scope="module")
def template(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = make_home(tmp_path_factory.mktemp("template") / "place")
    on(commands, place, "backup", str(place.root / "home.age")).verify(0)
    return place


@pytest.fixture
def place(template: Place, tmp_path: Path) -> Place:
    return template.copy(tmp_path / "place")


def on(commands: Commands, place: Place, *arguments: str) -> Ended:
    return commands.run("--home", str(place.home), *arguments, state=place.state)


def on_new(commands: Commands, place: Place, *arguments: str) -> Ended:
    """On another machine that has what lies in the place's directory."""
    return commands.run("--home", str(place.root / "new"), *arguments, state=place.root / "new-state")


def restore(commands: Commands, place: Place, *more: str, file: str = "home.age") -> Ended:
    return on_new(commands, place, "restore", str(place.root / file), "--recovery-key", str(place.recovery), *more)


def test_backup_and_restore_tell_what_they_did(commands: Commands, place: Place) -> None:
    made = json.loads(on(commands, place, "--json", "backup", str(place.root / "second.age")).verify(0).stdout)
    assert sorted(made) == ["bytes", "created", "entries", "file", "keys_in_tokens", "sha256", "store_id"]
    arguments = ("--json", "restore", str(place.root / "second.age"), "--recovery-key", str(place.recovery))
    restored = json.loads(on_new(commands, place, *arguments).verify(0).stdout)
    assert restored == {
        "home": str(place.root / "new"),
        "store_id": made["store_id"],
        "created": made["created"],
        "entries": made["entries"],
        "accepted": False,
    }
    accepted = json.loads(on_new(commands, place, "--json", "restore", "--accept").verify(0).stdout)
    assert accepted == {
        "home": str(place.root / "new"),
        "store_id": made["store_id"],
        "entries": made["entries"],
        "missing_entries": None,
        "certificates": [],
        "accepted": True,
    }


def test_what_was_restored_says_what_to_do_next(commands: Commands, place: Place) -> None:
    assert "restore --accept" in restore(commands, place).verify(0).stderr
    for refused in (("ca", "list"), ("ca", "token", "worker"), ("backup", str(place.root / "b.age")), ("serve",)):
        assert "restore --accept" in on_new(commands, place, *refused).verify(2).stderr
    on_new(commands, place, "ca", "export").verify(0)


def test_a_backup_that_exists_is_not_replaced(commands: Commands, place: Place) -> None:
    assert "exists" in on(commands, place, "backup", str(place.root / "home.age")).verify(2).stderr


def test_a_second_backup_at_the_same_time_is_told_to_wait(commands: Commands, place: Place) -> None:
    with backup_turn(place.home) as ours:
        assert ours
        ended = on(commands, place, "backup", str(place.root / "second.age")).verify(3)
    assert "another backup" in ended.stderr
    assert not (place.root / "second.age").exists()


def test_another_recovery_key_is_a_decision_against(commands: Commands, place: Place) -> None:
    place.recovery.unlink()
    on(commands, place, "keys", "recovery", "--recovery-out", str(place.recovery)).verify(0)
    assert "does not open" in restore(commands, place).verify(1).stderr


@pytest.mark.parametrize("damage", ["cut", "flip", "foreign", "empty"])
def test_a_damaged_backup_is_an_integrity_failure(commands: Commands, place: Place, damage: str) -> None:
    data = (place.root / "home.age").read_bytes()
    flipped = data[:500] + bytes([data[500] ^ 1]) + data[501:]
    content = {"cut": data[:-1], "flip": flipped, "foreign": b"PK\x03\x04" * 99, "empty": b""}[damage]
    (place.root / "home.age").write_bytes(content)
    restore(commands, place).verify(4)
    assert not (place.root / "new").exists()


def test_what_cannot_be_meant_is_usage(commands: Commands, place: Place) -> None:
    on_new(commands, place, "restore").verify(2)
    on_new(commands, place, "restore", "--accept").verify(2)
    on(commands, place, "restore", "--accept").verify(2)
    restore(commands, place, file="missing.age").verify(2)
    assert "got a directory" in restore(commands, place, file="kept").verify(2).stderr
    restore(commands, place, "--database", "mysql://host/name").verify(2)
    assert (
        "there is a home"
        in on(commands, place, "restore", str(place.root / "home.age"), "--recovery-key", str(place.recovery))
        .verify(2)
        .stderr
    )
    commands.run("--server", "https://host", "backup", "file", state=place.state).verify(2)


def test_the_recovery_key_is_read_from_a_private_file_or_a_terminal_alone(commands: Commands, place: Place) -> None:
    place.recovery.chmod(0o644)
    assert "0644" in restore(commands, place).verify(2).stderr
    place.recovery.chmod(0o600)
    place.recovery.write_text("AGE-SECRET-KEY-1NOT\n")
    restore(commands, place).verify(2)
    assert "no terminal" in on_new(commands, place, "restore", str(place.root / "home.age")).verify(3).stderr


def test_a_backup_into_a_missing_directory_is_not_found(commands: Commands, place: Place) -> None:
    assert "no directory" in on(commands, place, "backup", str(place.root / "missing" / "b.age")).verify(2).stderr


def test_keys_tell_their_terms(commands: Commands, place: Place) -> None:
    rotated = json.loads(on(commands, place, "--json", "keys", "rotate").verify(0).stdout)
    assert rotated == {"term": 2, "records": 5, "destroyed": [1], "resumed": False, "followed": False}
    listed = json.loads(on(commands, place, "--json", "keys", "list").verify(0).stdout)
    assert [(item["term"], item["state"], item["records"]) for item in listed] == [
        (1, "destroyed", 0),
        (2, "active", 5),
    ]


def test_seals_are_changed_from_file_to_passphrase(commands: Commands, place: Place) -> None:
    passphrase = place.root / "passphrase"
    passphrase.write_text("correct horse battery\n")
    passphrase.chmod(0o600)
    with_passphrase = ("--passphrase-file", str(passphrase))
    (before,) = json.loads(on(commands, place, "--json", "keys", "seal", "list").verify(0).stdout)
    on(commands, place, "keys", "seal", "remove", before["seal_id"]).verify(2)
    made = json.loads(on(commands, place, *with_passphrase, "--json", "keys", "seal", "add", "passphrase").stdout)
    on(commands, place, "keys", "seal", "remove", before["seal_id"]).verify(0)
    assert "no terminal" in on(commands, place, "ca", "token", "worker").verify(3).stderr
    on(commands, place, *with_passphrase, "ca", "token", "worker").verify(0)
    (after,) = json.loads(on(commands, place, "--json", "keys", "seal", "list").verify(0).stdout)
    assert (after["seal_id"], after["kind"]) == (made["seal_id"], "passphrase")
