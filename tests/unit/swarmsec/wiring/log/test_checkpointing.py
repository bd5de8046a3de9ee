"""The log signs itself as it grows, and what it signed is held against it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from swarmsec.audit.actions import Action
from swarmsec.audit.checkpoints import Checkpoint, open_checkpoint, sign_checkpoint
from swarmsec.audit.entry import ObjectRef
from swarmsec.audit.errors import CheckpointInvalid, EntryInvalid
from swarmsec.audit.notes import VerifierKey
from swarmsec.audit.proofs import inclusion_proof, verify_inclusion
from swarmsec.errors import SwarmsecError
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.log.sign_log import log_key
from swarmsec.storage.anchor import AnchorFile
from swarmsec.storage.checking import CheckReport, verify_store
from swarmsec.storage.errors import StoreCorrupt, StoreRolledBack
from swarmsec.storage.logtables import audit_checkpoints, audit_tiles
from swarmsec.storage.rows import digest_of
from swarmsec.wiring.homes.creating import NewHome, create_home
from swarmsec.wiring.homes.home import Home, open_home
from swarmsec.wiring.log.checkpointing import sign_log
from tests.unit.swarmsec.audit.logs import LOG
from tests.unit.swarmsec.homes import OPERATOR, make_home, private_files


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished home, closed."""
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    home, _, _ = make_home(tmp_path / "home")
    home.close()
    return tmp_path / "home"


def log_some(home: Home, count: int) -> None:
    """Write entries that say nothing."""
    event = OPERATOR.event(Action.KEY_REWRAP, ObjectRef(type="test"))
    for outcome in home.store.write_group([lambda unit: unit.log(event)] * count):
        assert outcome.error is None


def key_of(home: Home) -> VerifierKey:
    key = home.store.read(log_key)
    assert key is not None
    return key


def anchored(home: Home) -> bytes:
    return AnchorFile(home.anchor_path, home.store_id).read_checkpoint()


def verified(path: Path) -> CheckReport:
    """Open, hold everything against everything, and close, as ``audit verify`` does."""
    with private_files():
        home = open_home(path)
    try:
        return verify_store(home.store, further=[anchored(home)])
    finally:
        home.close()


def sql(path: Path, statement: str, *values: object) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path / "state.db")) as connection, connection:
        return connection.execute(statement, values).fetchall()


def test_a_process_that_wrote_leaves_a_signed_checkpoint_of_everything(path: Path) -> None:
    report = verified(path)
    (newest,) = report.checkpoints[-1:]
    assert (newest.checkpoint.size, newest.checkpoint.root) == (report.entries, report.root)
    home = open_home(path)
    checkpoint, _ = open_checkpoint(anchored(home), key_of(home))
    assert checkpoint == newest.checkpoint
    assert checkpoint.origin == f"swarmsec.dev/log/{home.store_id}/1"
    log_some(home, 3)
    home.close()
    assert verified(path).checkpoints[-1].checkpoint.size == report.entries + 3


def test_reading_signs_nothing(path: Path) -> None:
    before = sql(path, "SELECT * FROM audit_checkpoints")
    assert verified(path).checkpoints
    assert sql(path, "SELECT * FROM audit_checkpoints") == before


def test_of_an_hour_the_newest_is_kept(path: Path) -> None:
    for _ in range(3):
        home = open_home(path)
        log_some(home, 1)
        home.close()
    assert len(sql(path, "SELECT size FROM audit_checkpoints")) <= 2


@pytest.mark.parametrize("count", [255, 256, 300, 66_000])
def test_every_entry_is_proved_out_of_kept_tiles(path: Path, count: int) -> None:
    home = open_home(path)
    for begun in range(0, count, 4000):
        log_some(home, min(4000, count - begun))
    head, signed = sign_log(home.store, home.keys())
    checkpoint, _ = open_checkpoint(signed.note, key_of(home))
    assert checkpoint.size == head.size > count
    with home.store.reading() as transaction:
        tree = transaction.tree.at(head.size)
        for index in {0, 1, 255, 256, count // 2, head.size - 1}:
            if index < head.size:
                leaf = tree.tile(0, index // 256)[index % 256]
                proof = inclusion_proof(index, head.size, tree.nodes())
                verify_inclusion(leaf, index, head.size, proof, checkpoint.root)
    home.close()
    assert verified(path).entries == head.size


def test_a_locked_process_moves_the_anchor_and_the_next_one_with_keys_signs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    path = tmp_path / "home"
    passphrase = SecretBytes(b"correct horse battery")
    with private_files():
        create_home(NewHome(path=path, seal="passphrase"), lambda _: passphrase, OPERATOR).home.close()
    signed = verified(path).checkpoints[-1].checkpoint.size
    home = open_home(path)
    log_some(home, 5)
    head = home.store.head()
    home.close()
    assert AnchorFile(home.anchor_path, home.store_id).read() == head
    report = verified(path)
    assert (report.checkpoints[-1].checkpoint.size, report.entries) == (signed, signed + 5)
    home = open_home(path)
    home.keys(lambda _: passphrase)
    log_some(home, 1)
    home.close()
    report = verified(path)
    assert report.checkpoints[-1].checkpoint.size == report.entries == signed + 6


def test_an_accepted_rollback_begins_a_generation_with_a_key_of_its_own(path: Path) -> None:
    home = open_home(path)
    former = key_of(home)
    file = AnchorFile(home.anchor_path, home.store_id)
    head = home.store.head()
    home.close()
    file.replace(head._replace(size=head.size + 1))
    with pytest.raises(StoreRolledBack):
        open_home(path)
    home = open_home(path, accept_rollback="a test")
    home.close()
    home = open_home(path)
    assert key_of(home).name == f"swarmsec.dev/log/{home.store_id}/2"
    assert key_of(home).public_key != former.public_key
    home.close()
    report = verified(path)
    assert report.checkpoints[-1].checkpoint.size == report.entries


def change_checkpoint(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Change the note of the newest checkpoint, with a digest that fits."""
    ((origin, size, note, created),) = sql(
        path, "SELECT origin, size, note, created FROM audit_checkpoints ORDER BY size DESC LIMIT 1"
    )
    assert isinstance(note, bytes)
    values = {"origin": origin, "size": size, "note": change(note), "created": created}
    digest = digest_of(audit_checkpoints, values)
    sql(path, "UPDATE audit_checkpoints SET note = ?, digest = ? WHERE size = ?", values["note"], digest, size)


def test_a_checkpoint_that_another_key_signed_is_forged(path: Path) -> None:
    def forge(note: bytes) -> bytes:
        origin, size, _ = note.decode().split("\n")[:3]
        return bytes(sign_checkpoint(Checkpoint(origin=origin, size=int(size), root=bytes(32)), LOG))

    change_checkpoint(path, forge)
    with pytest.raises(CheckpointInvalid, match="is not signed by its log"):
        verified(path)


def test_a_checkpoint_whose_root_was_changed_is_forged(path: Path) -> None:
    change_checkpoint(path, lambda note: note.replace(note.split(b"\n")[2][:4], b"AAAA", 1))
    with pytest.raises(CheckpointInvalid, match="does not verify"):
        verified(path)


def test_a_checkpoint_that_is_none_is_named(path: Path) -> None:
    change_checkpoint(path, lambda note: b"nothing")
    with pytest.raises(CheckpointInvalid, match=r"the checkpoint of \d+ entries in the store: expected"):
        verified(path)


def test_a_tail_that_was_cut_behind_a_removed_anchor_is_found_by_the_stored_checkpoint(path: Path) -> None:
    home = open_home(path)
    log_some(home, 5)
    anchor = home.anchor_path
    home.close()
    anchor.unlink()
    sql(path, "DELETE FROM audit_entries WHERE seq > (SELECT max(seq) - 3 FROM audit_entries)")
    home = open_home(path)
    home.store.anchor = None
    with pytest.raises(CheckpointInvalid, match="entries were cut off its end"):
        verify_store(home.store)
    home.close()


def test_a_history_that_was_rewritten_without_the_key_is_found(path: Path) -> None:
    """Every entry after the changed one is made anew, each with its hash, so that the chain itself is whole."""
    from swarmsec.audit.canonical import encode_canonical, parse_canonical
    from swarmsec.audit.entry import leaf_hash

    home = open_home(path)
    log_some(home, 3)
    home.close()
    prev = bytes(32)
    for seq, data in sql(path, "SELECT seq, data FROM audit_entries ORDER BY seq"):
        assert isinstance(data, bytes)
        members = {**parse_canonical(data), "prev": prev.hex()}
        if seq == 2:
            members["reason"] = "another"
        rewritten = encode_canonical(members)
        prev = leaf_hash(rewritten)
        sql(path, "UPDATE audit_entries SET data = ?, leaf_hash = ? WHERE seq = ?", rewritten, prev, seq)
    home.anchor_path.unlink()
    home = open_home(path)
    home.store.anchor = None
    with pytest.raises(CheckpointInvalid, match="an entry before was rewritten"):
        verify_store(home.store)
    home.close()


def test_a_kept_tile_that_was_changed_is_found_and_none_is_signed_with_it(path: Path) -> None:
    home = open_home(path)
    log_some(home, 600)
    home.close()
    assert len(sql(path, "SELECT * FROM audit_tiles")) == 2
    values = {"level": 1, "number": 1, "hash": bytes(32)}
    sql(path, "UPDATE audit_tiles SET hash = ?, digest = ? WHERE number = 1", bytes(32), digest_of(audit_tiles, values))
    with pytest.raises(StoreCorrupt, match="kept hashes of the log's tiles"):
        verified(path)


def test_leaf_hashes_that_are_missing_are_named_and_the_next_write_is_refused(path: Path) -> None:
    home = open_home(path)
    sql(path, "DELETE FROM audit_entries WHERE seq = 3")
    log_some(home, 1)
    with pytest.raises(EntryInvalid, match="expected"):
        home.store.anchor_if_due(now=True)
    home.store.anchor = None
    home.close()


def test_the_anchor_of_the_former_format_is_read_and_takes_a_checkpoint_next(path: Path) -> None:
    import hashlib
    import json

    home = open_home(path)
    file = AnchorFile(home.anchor_path, home.store_id)
    members = json.loads(file.path.read_bytes())
    former = {"format": 1, **{name: members[name] for name in ("store_id", "size", "leaf_hash")}}
    check = hashlib.sha256(json.dumps(former, sort_keys=True).encode()).hexdigest()
    file.path.write_text(json.dumps({**former, "check": check}))
    assert file.read() == home.store.head()
    assert file.read_checkpoint() == b""
    log_some(home, 1)
    key = key_of(home)
    home.close()
    assert open_checkpoint(file.read_checkpoint(), key)[0].size == members["size"] + 1


def test_a_store_whose_log_cannot_be_signed_says_so_and_refuses_the_next_write(path: Path) -> None:
    home = open_home(path)
    sql(path, "UPDATE sealed_records SET body = x'00' WHERE name LIKE 'audit/log-key/%'")
    log_some(home, 1)
    assert home.store.is_anchor_failing
    with pytest.raises(SwarmsecError):
        home.store.write(lambda unit: unit.log(OPERATOR.event(Action.KEY_REWRAP, ObjectRef(type="test"))))
    home.store.anchor = None
    home.close()
