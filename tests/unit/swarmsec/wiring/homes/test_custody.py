"""What opens a home can be changed, but never to nothing; a new recovery key counts from then on."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmsec.errors import AlreadyExists, NotFound, Unavailable, UsageProblem
from swarmsec.keys.backupfile import read_backup
from swarmsec.keys.errors import KeysLocked, WrongUnlock
from swarmsec.keys.recovery import RecoveryKey, parse_recovery_key
from swarmsec.keys.signers import SealedKeys
from swarmsec.secretbytes import SecretBytes
from swarmsec.wiring.homes.backups import Watcher, back_up
from swarmsec.wiring.homes.custody import drop_seal, renew_recovery_key, set_seal
from swarmsec.wiring.homes.home import Ask, Home, open_home, refuse_to_ask
from tests.unit.swarmsec.homes import OPERATOR, logged, make_home

PASSPHRASE = "correct horse battery"
WATCHER = Watcher(begins=lambda rows: None, moved=lambda rows: None)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Home, SealedKeys, RecoveryKey]]:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    # The smallest that Argon2id takes; its cost is not what is tested here.
    monkeypatch.setattr("swarmsec.keys.seals.ARGON2_KIB", 64)
    home, keys, recovery = make_home(tmp_path / "home")
    yield home, keys, recovery
    home.close()


def answer(passphrase: str = PASSPHRASE) -> Ask:
    return lambda prompt: SecretBytes(passphrase.encode())


def kinds(home: Home) -> list[str]:
    return sorted(seal.kind for seal in home.store.read(lambda transaction: transaction.seals.all()))


def key_files(home: Home) -> list[Path]:
    return sorted(home.anchor_path.parent.glob("seal-*.key"))


def opens(home: Home, ask: Ask = refuse_to_ask) -> bool:
    again = open_home(home.path)
    try:
        return len(again.keys(ask).ring.root) == 32
    finally:
        again.close()


def test_a_passphrase_beside_the_key_file_opens_when_the_file_is_gone(
    made: tuple[Home, SealedKeys, RecoveryKey],
) -> None:
    home, keys, _ = made
    set_seal(home, keys, "passphrase", answer(), OPERATOR)
    assert kinds(home) == ["file", "passphrase"]
    assert opens(home)
    (file,) = key_files(home)
    file.unlink()
    assert opens(home, answer())
    with pytest.raises(WrongUnlock):
        opens(home, answer("another passphrase"))
    with pytest.raises(KeysLocked):
        opens(home)


def test_a_key_file_that_is_gone_is_named_where_nothing_else_opens(
    made: tuple[Home, SealedKeys, RecoveryKey],
) -> None:
    home, *_ = made
    (file,) = key_files(home)
    file.unlink()
    with pytest.raises(KeysLocked, match=file.name):
        opens(home)


def test_from_key_file_to_passphrase_and_back(made: tuple[Home, SealedKeys, RecoveryKey]) -> None:
    home, keys, _ = made
    (file_seal,) = home.store.read(lambda transaction: transaction.seals.all())
    passphrase_seal = set_seal(home, keys, "passphrase", answer(), OPERATOR)
    drop_seal(home, file_seal.seal_id, OPERATOR)
    assert (kinds(home), key_files(home)) == (["passphrase"], [])
    set_seal(home, keys, "file", refuse_to_ask, OPERATOR)
    drop_seal(home, passphrase_seal.seal_id, OPERATOR)
    removed = [entry["object"] for entry in logged(home, "seal.remove")]
    assert removed == [{"id": seal.seal_id, "name": seal.kind, "type": "seal"} for seal in (file_seal, passphrase_seal)]
    assert kinds(home) == ["file"]
    assert opens(home)


def test_a_seal_of_the_same_kind_is_replaced(made: tuple[Home, SealedKeys, RecoveryKey]) -> None:
    home, keys, _ = made
    (before,) = key_files(home)
    set_seal(home, keys, "file", refuse_to_ask, OPERATOR)
    (after,) = key_files(home)
    assert before != after
    set_seal(home, keys, "passphrase", answer("the former passphrase"), OPERATOR)
    set_seal(home, keys, "passphrase", answer(), OPERATOR)
    assert kinds(home) == ["file", "passphrase"]
    after.unlink()
    assert opens(home, answer())


def test_the_last_seal_stays(made: tuple[Home, SealedKeys, RecoveryKey]) -> None:
    home, *_ = made
    (seal,) = home.store.read(lambda transaction: transaction.seals.all())
    with pytest.raises(UsageProblem, match="last one"):
        drop_seal(home, seal.seal_id, OPERATOR)
    assert opens(home)


def test_an_unknown_seal_is_not_found(made: tuple[Home, SealedKeys, RecoveryKey]) -> None:
    home, *_ = made
    with pytest.raises(NotFound):
        drop_seal(home, "0011223344556677", OPERATOR)


def test_a_short_passphrase_changes_nothing(made: tuple[Home, SealedKeys, RecoveryKey]) -> None:
    home, keys, _ = made
    with pytest.raises(UsageProblem, match="at least 12"):
        set_seal(home, keys, "passphrase", answer("short"), OPERATOR)
    assert kinds(home) == ["file"]


def test_a_named_key_file_is_neither_replaced_nor_removed(
    made: tuple[Home, SealedKeys, RecoveryKey], tmp_path: Path
) -> None:
    home, keys, _ = made
    named = tmp_path / "elsewhere" / "seal.key"
    (home.path / "swarmsec.toml").write_text(f'format = 1\n[seal]\npath = "{named}"\n')
    again = open_home(home.path)
    again.adopt_keys(keys)
    try:
        made_now = set_seal(again, keys, "file", refuse_to_ask, OPERATOR)
        content = named.read_bytes()
        with pytest.raises(AlreadyExists, match=r"seal\.key exists"):
            set_seal(again, keys, "file", refuse_to_ask, OPERATOR)
        set_seal(again, keys, "passphrase", answer(), OPERATOR)
        drop_seal(again, made_now.seal_id, OPERATOR)
        assert named.read_bytes() == content
    finally:
        again.close()


def test_later_backups_open_with_the_new_recovery_key_alone(
    made: tuple[Home, SealedKeys, RecoveryKey], tmp_path: Path
) -> None:
    home, keys, former = made
    back_up(home, keys, tmp_path / "first.age", OPERATOR, WATCHER)
    renewed = renew_recovery_key(home, keys, OPERATOR, None)
    back_up(home, keys, tmp_path / "second.age", OPERATOR, WATCHER)
    for name, right, wrong in (("first.age", former, renewed), ("second.age", renewed, former)):
        with (tmp_path / name).open("rb") as file:
            read_backup(file, right, lambda line: None)
            file.seek(0)
            with pytest.raises(WrongUnlock):
                read_backup(file, wrong, lambda line: None)


def test_the_recovery_file_is_private_and_replaces_none(
    made: tuple[Home, SealedKeys, RecoveryKey], tmp_path: Path
) -> None:
    home, keys, _ = made
    path = tmp_path / "recovery.key"
    renewed = renew_recovery_key(home, keys, OPERATOR, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert parse_recovery_key(path.read_bytes()).recipient == renewed.recipient
    with pytest.raises(AlreadyExists, match="has the recovery key of this home"):
        renew_recovery_key(home, keys, OPERATOR, path)
    path.write_bytes(b"precious")
    with pytest.raises(AlreadyExists, match="has something else"):
        renew_recovery_key(home, keys, OPERATOR, path)
    assert path.read_bytes() == b"precious"


def test_a_recovery_file_that_cannot_be_written_changes_nothing(
    made: tuple[Home, SealedKeys, RecoveryKey], tmp_path: Path
) -> None:
    home, keys, recovery = made
    with pytest.raises(Unavailable):
        renew_recovery_key(home, keys, OPERATOR, tmp_path / "missing" / "recovery.key")
    known = home.store.read(lambda transaction: transaction.settings.get("recovery_recipient"))
    assert known == recovery.recipient
