"""A backup becomes a whole home or none; it serves nothing until it is accepted, and accepting says what is missing."""

from __future__ import annotations

import io
import json
import shutil
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ca.identity import NodeRole
from swarmsec.config import load_config
from swarmsec.errors import AlreadyExists, Denied, IntegrityFailure, NotFound, SwarmsecError, UsageProblem
from swarmsec.keys.backupfile import read_backup, write_backup
from swarmsec.keys.recovery import RecoveryKey, new_recovery_key
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.backup_archive import Header, encode_header, parse_header
from swarmsec.services.standing_tokens import open_standing_token
from swarmsec.storage.anchor import AnchorFile
from swarmsec.storage.checking import verify_store
from swarmsec.storage.database import open_engine, parse_url
from swarmsec.storage.errors import StoreRolledBack
from swarmsec.storage.tables import audit_entries
from swarmsec.wiring.backups import Watcher, back_up
from swarmsec.wiring.home import Home, open_home
from swarmsec.wiring.intents import resolve_intents
from swarmsec.wiring.restoring import Accepted, Wanted, accept_home, restore_home
from tests.unit.swarmsec.homes import OPERATOR, make_home, open_values, private_files, seal_values

WATCHER = Watcher(begins=lambda rows: None, moved=lambda rows: None)
VALUES = {f"test/value/{number}": bytes([number]) * 40 for number in range(30)}
ON_ANOTHER_MACHINE = "another-state"


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A home with its backup, both as they were when it was made."""

    root: Path
    recovery: RecoveryKey
    store_id: str
    entries: int

    @property
    def backup(self) -> Path:
        return self.root / "home.age"

    @property
    def original(self) -> Path:
        return self.root / "original"

    @property
    def restored(self) -> Path:
        return self.root / "restored"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    root = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWARMSEC_STATE", str(root / "state"))
        home, keys, recovery = make_home(root / "original")
        seal_values(home, keys, VALUES)
        done = back_up(home, keys, root / "home.age", OPERATOR, WATCHER)
        home.close()
    return Saved(root=root, recovery=recovery, store_id=done.store_id, entries=done.entries)


@pytest.fixture
def saved(template: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Saved:
    """On the machine of the original home, which is still there."""
    shutil.copytree(template.root, tmp_path / "root")
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "root" / "state"))
    return replace(template, root=tmp_path / "root")


@pytest.fixture
def elsewhere(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> Saved:
    """On another machine, which has the backup alone."""
    monkeypatch.setenv("SWARMSEC_STATE", str(saved.root / ON_ANOTHER_MACHINE))
    return saved


def restore(
    saved: Saved, recovery: RecoveryKey | None = None, *, seal: str = "file", backup: Path | None = None
) -> None:
    with private_files():
        restore_home(
            Wanted(home=saved.restored, backup=backup or saved.backup, seal=seal),
            recovery or saved.recovery,
            lambda prompt: SecretBytes(b"correct horse battery"),
            OPERATOR,
            WATCHER,
        )


def accept(saved: Saved) -> Accepted:
    home = open_home(saved.restored, allow_restored=True)
    try:
        return accept_home(home, home.keys(), OPERATOR)
    finally:
        home.close()


def lines_of(saved: Saved) -> list[bytes]:
    lines: list[bytes] = []
    read_backup(io.BytesIO(saved.backup.read_bytes()), saved.recovery, lines.append)
    return lines


def rewritten(saved: Saved, lines: list[bytes]) -> None:
    """Put another backup in the place of the real one, as only a holder of the recovery key can."""
    file = io.BytesIO()
    write_backup(file, lines, recipient=saved.recovery.recipient, mac_key=saved.recovery.backup_mac_key)
    saved.backup.write_bytes(file.getvalue())


def with_header(saved: Saved, change: Callable[[Header], Header]) -> None:
    first, *rows = lines_of(saved)
    rewritten(saved, [encode_header(change(parse_header(first))), *rows])


def entries(home: Home) -> list[dict[str, object]]:
    with home.store.reading() as transaction:
        rows = transaction.connection.execute(audit_entries.select().order_by(audit_entries.c.seq)).all()
    return [json.loads(row.data) for row in rows]


def tokens(home: Home) -> set[str]:
    keys = home.keys()
    with home.store.reading() as transaction:
        return {open_standing_token(transaction, keys, role)[1].format() for role in NodeRole}


def nothing_of_a_home(saved: Saved) -> bool:
    seals = list((saved.root / ON_ANOTHER_MACHINE).rglob("*.key"))
    return not saved.restored.exists() and not seals


def test_everything_is_back_on_an_empty_machine(elsewhere: Saved) -> None:
    shutil.rmtree(elsewhere.original)
    restore(elsewhere)
    accept(elsewhere)
    home = open_home(elsewhere.restored)
    try:
        assert home.store_id == elsewhere.store_id
        assert open_values(home, home.keys(), sorted(VALUES)) == VALUES
        assert verify_store(home.store).entries == home.store.head().size > elsewhere.entries
        assert resolve_intents(home) == []
    finally:
        home.close()


def test_the_backup_itself_and_the_restore_are_on_record(elsewhere: Saved) -> None:
    restore(elsewhere)
    home = open_home(elsewhere.restored, allow_restored=True)
    try:
        *_, began, restored, ended = entries(home)
        assert [entry["action"] for entry in (began, restored, ended)] == [
            "backup.create",
            "backup.restore",
            "backup.create",
        ]
        assert (ended["outcome"], ended["request_id"]) == ("success", began["request_id"])
    finally:
        home.close()


def test_a_restored_home_is_opened_by_nothing_until_it_is_accepted(elsewhere: Saved) -> None:
    restore(elsewhere)
    with pytest.raises(UsageProblem, match="not accepted yet"):
        open_home(elsewhere.restored)
    accept(elsewhere)
    open_home(elsewhere.restored).close()


def test_accepting_makes_former_join_tokens_worthless(elsewhere: Saved) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWARMSEC_STATE", str(elsewhere.root / "state"))
        original = open_home(elsewhere.original)
        before = tokens(original)
        original.close()
    restore(elsewhere)
    accept(elsewhere)
    home = open_home(elsewhere.restored)
    try:
        assert not before & tokens(home)
    finally:
        home.close()


def test_without_an_anchor_nothing_is_known_to_be_missing(elsewhere: Saved) -> None:
    restore(elsewhere)
    assert accept(elsewhere).missing.entries is None


def test_an_anchor_that_is_ahead_tells_how_much_is_missing(saved: Saved) -> None:
    original = open_home(saved.original)
    seal_values(original, original.keys(), {"test/later": b"later"})
    ahead = original.store.head().size
    original.close()
    restore(saved)
    accepted = accept(saved)
    assert accepted == Accepted(
        store_id=saved.store_id, entries=saved.entries, missing=replace(accepted.missing, entries=ahead - saved.entries)
    )
    home = open_home(saved.restored)
    try:
        intent = next(entry for entry in entries(home) if entry["action"] == "backup.accept")
        assert (intent["outcome"], intent["fields"]) == ("intent", {"missing_entries": ahead - saved.entries})
    finally:
        home.close()


def test_the_former_home_of_the_same_machine_is_refused_from_then_on(saved: Saved) -> None:
    restore(saved)
    accept(saved)
    with pytest.raises(StoreRolledBack):
        open_home(saved.original)


def test_a_damaged_anchor_does_not_keep_a_restored_home_from_serving(saved: Saved) -> None:
    restore(saved)
    (anchor,) = (saved.root / "state").glob("*/anchor")
    anchor.write_bytes(b"damaged")
    assert accept(saved).missing.entries is None
    open_home(saved.restored).close()


def test_accepting_that_was_interrupted_is_finished_by_the_same_command(
    saved: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    restore(saved)

    def killed(self: AnchorFile, head: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(AnchorFile, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            accept(saved)
    with pytest.raises(UsageProblem):
        open_home(saved.restored)
    first = accept(saved)
    home = open_home(saved.restored)
    try:
        told = [entry["outcome"] for entry in entries(home) if entry["action"] == "backup.accept"]
        assert told == ["intent", "success"]
        assert first.missing.entries is not None
    finally:
        home.close()


def test_a_home_that_was_not_restored_is_not_accepted(saved: Saved) -> None:
    home = open_home(saved.original)
    with pytest.raises(UsageProblem, match="waits to be accepted"):
        accept_home(home, home.keys(), OPERATOR)
    home.close()


def test_a_new_seal_opens_it_and_no_other(elsewhere: Saved) -> None:
    restore(elsewhere)
    home = open_home(elsewhere.restored, allow_restored=True)
    try:
        (seal,) = home.store.read(lambda transaction: transaction.seals.all())
        assert [path.name for path in (elsewhere.root / ON_ANOTHER_MACHINE).rglob("*.key")] == [
            f"seal-{seal.seal_id}.key"
        ]
    finally:
        home.close()


def test_it_can_be_sealed_with_a_passphrase(elsewhere: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarmsec.keys.seals.ARGON2_KIB", 64)
    restore(elsewhere, seal="passphrase")
    home = open_home(elsewhere.restored, allow_restored=True)
    try:
        keys = home.keys(lambda prompt: SecretBytes(b"correct horse battery"))
        assert open_values(home, keys, sorted(VALUES)) == VALUES
    finally:
        home.close()
    assert not list((elsewhere.root / ON_ANOTHER_MACHINE).rglob("*.key"))


def test_the_settings_come_along_but_for_the_database(elsewhere: Saved) -> None:
    text = 'format = 1\n\n[ca]\ncertificate_hours = 48\n\n[storage]\nurl = "postgresql://old/authority"  # there\n'
    with_header(elsewhere, lambda header: replace(header, config=text))
    restore(elsewhere)
    config = load_config(elsewhere.restored)
    assert (config.ca.certificate_hours, config.storage.url) == (48, "sqlite:///state.db")


def test_settings_whose_database_cannot_be_changed_safely_are_replaced(elsewhere: Saved) -> None:
    text = 'format = 1\nstorage = {url = "postgresql://old/authority"}\n'
    with_header(elsewhere, lambda header: replace(header, config=text))
    restore(elsewhere)
    config = load_config(elsewhere.restored)
    assert config.storage.url == "sqlite:///state.db"
    assert tomllib.loads((elsewhere.restored / "swarmsec.toml").read_text())["format"] == 1


def test_another_recovery_key_is_a_decision_against_and_leaves_nothing(elsewhere: Saved) -> None:
    with pytest.raises(Denied):
        restore(elsewhere, new_recovery_key())
    assert nothing_of_a_home(elsewhere)


@pytest.mark.parametrize("target", ["finished", "restored", "foreign"])
def test_nothing_that_exists_is_restored_over(saved: Saved, target: str) -> None:
    if target == "finished":
        shutil.copytree(saved.original, saved.restored)
    elif target == "restored":
        restore(saved)
    else:
        saved.restored.mkdir()
        (saved.restored / "precious").write_bytes(b"precious")
    before = sorted(path.name for path in saved.restored.iterdir())
    with pytest.raises((AlreadyExists, UsageProblem)):
        restore(saved)
    assert sorted(path.name for path in saved.restored.iterdir()) == before


def test_an_unfinished_home_is_finished(elsewhere: Saved) -> None:
    elsewhere.restored.mkdir(mode=0o700)
    with private_files():
        (elsewhere.restored / "swarmsec.toml").write_bytes((elsewhere.original / "swarmsec.toml").read_bytes())
    restore(elsewhere)
    accept(elsewhere)


def test_a_missing_backup_is_not_found(elsewhere: Saved) -> None:
    elsewhere.backup.unlink()
    with pytest.raises(NotFound):
        restore(elsewhere)


@pytest.mark.parametrize("content", [b"", b"hello", b"age-encryption.org/v1\n", b"\x1f\x8b" + bytes(500)])
def test_a_foreign_file_leaves_nothing(elsewhere: Saved, content: bytes) -> None:
    elsewhere.backup.write_bytes(content)
    with pytest.raises(IntegrityFailure):
        restore(elsewhere)
    assert nothing_of_a_home(elsewhere)


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.99])
def test_a_backup_that_was_cut_off_leaves_nothing(elsewhere: Saved, cut: float) -> None:
    data = elsewhere.backup.read_bytes()
    elsewhere.backup.write_bytes(data[: int(len(data) * cut)])
    with pytest.raises(IntegrityFailure):
        restore(elsewhere)
    assert nothing_of_a_home(elsewhere)


HEADER_CHANGES: dict[str, Callable[[Header], Header]] = {
    "another store": lambda header: replace(header, store_id="6f1c7c3e-0000-4000-8000-000000000001"),
    "fewer entries": lambda header: replace(header, size=header.size - 1),
    "another log": lambda header: replace(header, leaf_hash=bytes(32)),
    "another root key": lambda header: replace(header, root_key=SecretBytes(bytes(32))),
    "a later schema": lambda header: replace(header, schema=header.schema | {"core_9999"}),
    "no schema": lambda header: replace(header, schema=frozenset()),
    "part of the schema": lambda header: replace(header, schema=frozenset({"core_0001"})),
    "no tables": lambda header: replace(header, tables={}),
    "a table less": lambda header: replace(
        header, tables={name: shape for name, shape in header.tables.items() if name != "leases"}
    ),
    "a row more": lambda header: replace(
        header,
        tables={name: replace(shape, rows=shape.rows + 1) for name, shape in header.tables.items()},
    ),
    "a column less": lambda header: replace(
        header,
        tables={
            name: replace(shape, columns=dict(list(shape.columns.items())[:-1]))
            for name, shape in header.tables.items()
        },
    ),
}


@pytest.mark.parametrize("change", HEADER_CHANGES.values(), ids=HEADER_CHANGES)
def test_a_header_that_does_not_fit_its_rows_makes_no_home(
    elsewhere: Saved, change: Callable[[Header], Header]
) -> None:
    with_header(elsewhere, change)
    with pytest.raises(IntegrityFailure):
        restore(elsewhere)
    assert nothing_of_a_home(elsewhere)


def without_last_of(table: str) -> Callable[[list[bytes]], list[bytes]]:
    def change(lines: list[bytes]) -> list[bytes]:
        last = max(number for number, line in enumerate(lines) if line.startswith(f'["{table}"'.encode()))
        return lines[:last] + lines[last + 1 :]

    return change


ROW_CHANGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "a token missing": without_last_of("join_tokens"),
    "an entry missing": without_last_of("audit_entries"),
    "a value changed": lambda lines: [line.replace(b'"manager","standing"', b'"worker","standing"') for line in lines],
    "a row twice": lambda lines: [*lines, lines[-1]],
    "a row of no table": lambda lines: [*lines, b'["sqlite_master",[]]'],
    "no row": lambda lines: lines[:1],
    "not JSON": lambda lines: [*lines, b"{"],
    "a header twice": lambda lines: [lines[0], *lines],
}


@pytest.mark.parametrize("change", ROW_CHANGES.values(), ids=ROW_CHANGES)
def test_rows_that_are_not_whole_make_no_home(elsewhere: Saved, change: Callable[[list[bytes]], list[bytes]]) -> None:
    rewritten(elsewhere, change(lines_of(elsewhere)))
    with pytest.raises(IntegrityFailure):
        restore(elsewhere)
    assert nothing_of_a_home(elsewhere)


def test_a_failed_restore_can_be_repeated_with_a_good_copy(elsewhere: Saved) -> None:
    good = elsewhere.backup.read_bytes()
    elsewhere.backup.write_bytes(good[:-1])
    with pytest.raises(SwarmsecError):
        restore(elsewhere)
    elsewhere.backup.write_bytes(good)
    restore(elsewhere)
    accept(elsewhere)


def test_a_database_in_use_is_not_loaded_into(elsewhere: Saved) -> None:
    """A settings file that was lost does not make the database beside it empty."""
    elsewhere.restored.mkdir(mode=0o700)
    shutil.copy(elsewhere.original / "state.db", elsewhere.restored / "state.db")
    with pytest.raises(UsageProblem, match="empty directory"):
        restore(elsewhere)
    shutil.copy(elsewhere.original / "swarmsec.toml", elsewhere.restored / "swarmsec.toml")
    with pytest.raises(AlreadyExists):
        restore(elsewhere)
    with open_engine(parse_url("sqlite:///state.db", elsewhere.restored)).connect() as connection:
        assert connection.execute(audit_entries.select()).all()
