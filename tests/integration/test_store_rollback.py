"""A home that is older than it was, or of which something is missing or exchanged, is refused."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from swarmsec.audit.entry import parse_entry
from swarmsec.audit.errors import EntryInvalid
from swarmsec.errors import IntegrityFailure, UsageProblem
from swarmsec.services.requester import SERVICE
from swarmsec.storage.checking import verify_store
from swarmsec.storage.errors import SchemaUnknown, StoreCorrupt, StoreRolledBack
from swarmsec.storage.rows import digest_of
from swarmsec.storage.tables import metadata
from swarmsec.wiring.homes.creating import NewHome, create_home
from swarmsec.wiring.homes.home import refuse_to_ask
from tests.integration.commands import Commands
from tests.integration.storefixtures import Place, make_home, opened, state_of, verify_whole


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    with Commands(os.environ) as running:
        yield running


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return make_home(tmp_path_factory.mktemp("finished") / "place")


@pytest.fixture
def place(finished: Place, tmp_path: Path) -> Place:
    """A home of the test's own."""
    return finished.copy(tmp_path / "place")


def sql(place: Place, statement: str, *values: object) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(place.database)) as connection, connection:
        return connection.execute(statement, values).fetchall()


def let_any_number_in(place: Place) -> None:
    """Make the log's table as one who writes files can have it: it keeps anything as an entry's number."""
    sql(place, "CREATE TABLE freed AS SELECT * FROM audit_entries")
    sql(place, "DROP TABLE audit_entries")
    sql(place, "ALTER TABLE freed RENAME TO audit_entries")


def size_of(place: Place) -> int:
    ((count,),) = sql(place, "SELECT count(*) FROM audit_entries")
    assert isinstance(count, int)
    return count


def newest_entry(place: Place) -> dict[str, object]:
    """The newest but for that of the key with which the log goes on."""
    for (data,) in sql(place, "SELECT data FROM audit_entries ORDER BY seq DESC LIMIT 2"):
        assert isinstance(data, bytes)
        entry = parse_entry(data)
        if entry["action"] != "audit.key-create":
            return entry
    raise AssertionError("no entry")


def rotate(commands: Commands, place: Place) -> None:
    commands.run("--home", str(place.home), "ca", "token", "worker", "--rotate", state=place.state).verify(0)


def roll_back(commands: Commands, place: Place) -> None:
    """Put an older copy of the home in the place of the present one; the state directory stays."""
    copy = place.root / "copy"
    shutil.copytree(place.home, copy)
    rotate(commands, place)
    shutil.rmtree(place.home)
    copy.rename(place.home)


def damage_check(place: Place) -> str:
    """What the full check of a store finds."""
    with opened(place) as home, pytest.raises(IntegrityFailure) as caught:
        verify_store(home.store)
    return str(caught.value)


# The anchor


def test_an_older_copy_is_refused_and_accepted_with_a_reason_that_is_logged(commands: Commands, place: Place) -> None:
    roll_back(commands, place)
    show = ("ca", "show")
    refused = commands.run("--home", str(place.home), *show, state=place.state).verify(4)
    assert "older than what it was" in refused.stderr
    assert "--accept-rollback REASON" in refused.stderr
    reason = ("--accept-rollback", "restored after a fire")
    commands.run("--home", str(place.home), *reason, *show, state=place.state).verify(0)
    entry = newest_entry(place)
    assert (entry["action"], entry["reason"]) == ("home.rollback-accept", "restored after a fire")
    commands.run("--home", str(place.home), *show, state=place.state).verify(0)
    verify_whole(place)


def test_an_older_copy_that_has_grown_past_the_anchor_is_still_refused(commands: Commands, place: Place) -> None:
    roll_back(commands, place)
    kept = place.anchor.read_bytes()
    place.anchor.unlink()
    for _ in range(3):
        rotate(commands, place)
    place.anchor.write_bytes(kept)
    with pytest.raises(StoreRolledBack, match="differs from what it was"), opened(place):
        pass


def test_a_log_whose_tail_was_cut_is_refused(place: Place) -> None:
    sql(place, "DELETE FROM audit_entries WHERE seq = (SELECT max(seq) FROM audit_entries)")
    with pytest.raises(StoreRolledBack), opened(place):
        pass


def test_a_tail_that_was_cut_behind_a_lost_anchor_is_found_by_the_rows_it_wrote(place: Place) -> None:
    sql(place, "DELETE FROM audit_entries WHERE seq >= (SELECT max(seq) - 1 FROM audit_entries)")
    place.anchor.unlink()
    assert "entries were cut off its end" in damage_check(place)


def test_a_tail_that_was_cut_behind_a_lost_anchor_and_lost_checkpoints_is_found_by_the_rows_it_wrote(
    place: Place,
) -> None:
    sql(place, "DELETE FROM audit_entries WHERE seq >= (SELECT max(seq) - 1 FROM audit_entries)")
    sql(place, "DELETE FROM audit_checkpoints")
    place.anchor.unlink()
    assert "not what the log says" in damage_check(place)


def test_a_home_without_its_anchor_says_so_and_begins_a_new_one(commands: Commands, place: Place) -> None:
    path = place.anchor
    path.unlink()
    found = commands.run("--home", str(place.home), "ca", "show", state=place.state).verify(0)
    assert "warning" in found.stderr
    assert "no rollback anchor" in found.stderr
    assert newest_entry(place)["action"] == "home.anchor-missing"
    assert path.exists()
    again = commands.run("--home", str(place.home), "ca", "show", state=place.state).verify(0)
    assert "anchor" not in again.stderr


def resealed(members: dict[str, object]) -> bytes:
    """An anchor of these members whose check is right."""
    members.pop("check", None)
    check = hashlib.sha256(json.dumps(members, sort_keys=True).encode()).hexdigest()
    return json.dumps({**members, "check": check}).encode()


def without(members: dict[str, object], name: str) -> dict[str, object]:
    return {known: value for known, value in members.items() if known != name}


DAMAGED: dict[str, Callable[[dict[str, object]], bytes]] = {
    "empty": lambda members: b"",
    "not JSON": lambda members: b"{",
    "nested": lambda members: b"[" * 4000,
    "too large": lambda members: json.dumps(members).encode() + b" " * 5000,
    "a list": lambda members: b"[1]",
    "check wrong": lambda members: json.dumps({**members, "size": 1}).encode(),
    "another format": lambda members: resealed({**members, "format": 3}),
    "a former format with a checkpoint": lambda members: resealed({**members, "format": 1}),
    "a format that is true": lambda members: resealed({**members, "format": True}),
    "a checkpoint that is no text": lambda members: resealed({**members, "checkpoint": 1}),
    "a checkpoint with a lone surrogate": lambda members: resealed({**members, "checkpoint": "\ud800"}),
    "no format": lambda members: resealed(without(members, "format")),
    "no store": lambda members: resealed(without(members, "store_id")),
    "another member": lambda members: resealed({**members, "more": 1}),
    "size infinite": lambda members: resealed({**members, "size": float("inf")}),
    "size a text": lambda members: resealed({**members, "size": "3"}),
    "size true": lambda members: resealed({**members, "size": True}),
    "size negative": lambda members: resealed({**members, "size": -1}),
    "size beyond the database": lambda members: resealed({**members, "size": 2**70}),
    "hash short": lambda members: resealed({**members, "leaf_hash": "00"}),
    "hash not hex": lambda members: resealed({**members, "leaf_hash": "z" * 64}),
    "hash a number": lambda members: resealed({**members, "leaf_hash": 7}),
    "another store": lambda members: resealed({**members, "store_id": "11111111-1111-4111-8111-111111111111"}),
    "store a list": lambda members: resealed({**members, "store_id": [1]}),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_anchor_is_refused_and_replaced_with_a_reason(place: Place, damage: str) -> None:
    whole = place.anchor.read_bytes()
    place.anchor.write_bytes(DAMAGED[damage](json.loads(whole)))
    with pytest.raises(IntegrityFailure, match="anchor"), opened(place):
        pass
    with opened(place, accept_rollback="the anchor's disk failed"):
        pass
    assert newest_entry(place)["reason"] == "the anchor's disk failed"
    with opened(place) as home:
        assert home.findings == []
        verify_store(home.store)


# Rows and entries


def rewritten(place: Place, table: str, where: str, **changes: object) -> None:
    """Change a row as somebody would who knows how digests are made."""
    with closing(sqlite3.connect(place.database)) as connection, connection:
        connection.row_factory = sqlite3.Row
        row = dict(connection.execute(f"SELECT * FROM {table} WHERE {where}").fetchone()) | changes
        digest = digest_of(metadata.tables[table], row)
        names = ", ".join(f"{name} = ?" for name in changes)
        connection.execute(f"UPDATE {table} SET {names}, digest = ? WHERE {where}", (*changes.values(), digest))


def test_a_row_changed_with_a_right_digest_is_found_by_the_log(place: Place) -> None:
    rewritten(place, "join_tokens", "role = 'worker'", created=1)
    assert "not what the log says" in damage_check(place)


def test_a_row_changed_with_a_wrong_digest_is_found_where_it_is_read(place: Place) -> None:
    sql(place, "UPDATE join_tokens SET created = 1 WHERE role = 'worker'")
    with opened(place) as home, pytest.raises(StoreCorrupt, match="does not match its digest"):
        home.store.read(lambda transaction: transaction.tokens.standing("worker"))


@pytest.mark.parametrize("table", ["seals", "sealed_records", "key_terms", "authorities", "join_tokens"])
def test_a_row_that_was_removed_is_found(place: Place, table: str) -> None:
    sql(place, f"DELETE FROM {table} WHERE rowid = (SELECT min(rowid) FROM {table})")
    assert f"table {table}: row" in damage_check(place)
    assert "missing" in damage_check(place)


def test_a_row_that_was_added_is_found(place: Place) -> None:
    row = {"name": "intruder", "value": "x"}
    digest = digest_of(metadata.tables["settings"], row)
    sql(place, "INSERT INTO settings VALUES (?, ?, ?)", *row.values(), digest)
    assert "not what the log says" in damage_check(place)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE settings SET name = 'store_ie' WHERE name = 'store_id'",
        "DELETE FROM alembic_version",
        "ALTER TABLE alembic_version RENAME TO alembic_versioo",
    ],
)
def test_a_home_that_lost_what_says_that_it_is_finished_is_damaged_and_not_made_anew(place: Place, damage: str) -> None:
    sql(place, damage)
    before = place.database.read_bytes()
    with pytest.raises(StoreCorrupt, match="seems unfinished"), opened(place):
        pass
    with state_of(place), pytest.raises(StoreCorrupt, match="seems unfinished"):
        create_home(NewHome(path=place.home, recovery_out=None), refuse_to_ask, SERVICE)
    assert place.database.read_bytes() == before


def test_a_setting_that_its_index_does_not_name_is_damage(place: Place) -> None:
    content = place.database.read_bytes()
    # The index has the name before the row's number; the row has its value after it.
    found = [at for at in range(len(content)) if content.startswith(b"cluster_id", at)]
    for at in found:
        place.database.write_bytes(content[:at] + b"d" + content[at + 1 :])
        with pytest.raises(IntegrityFailure), opened(place) as home:
            verify_store(home.store)
    (at,) = (at for at in found if content[at + 10] < 0x20)
    place.database.write_bytes(content[:at] + b"d" + content[at + 1 :])
    with pytest.raises(StoreCorrupt), opened(place):
        pass


def test_two_sealed_records_that_were_exchanged_do_not_open(place: Place) -> None:
    worker, manager = (
        sql(place, "SELECT * FROM sealed_records WHERE name = ?", f"ca/token/{role}")[0]
        for role in ("worker", "manager")
    )
    for name, (_, version, created, term, wrapped_key, body, _) in ((worker[0], manager), (manager[0], worker)):
        rewritten(
            place,
            "sealed_records",
            f"name = '{name}'",
            version=version,
            created=created,
            term=term,
            wrapped_key=wrapped_key,
            body=body,
        )
    assert "not what the log says" in damage_check(place)
    with opened(place) as home:
        keys = home.keys()
        with pytest.raises(IntegrityFailure, match="does not open"):
            home.store.read(lambda transaction: keys.get(transaction, "ca/token/worker"))


def test_an_older_row_put_back_is_found(commands: Commands, place: Place) -> None:
    (before,) = sql(place, "SELECT * FROM sealed_records WHERE name = 'ca/token/worker'")
    rotate(commands, place)
    sql(place, "DELETE FROM sealed_records WHERE name = 'ca/token/worker'")
    sql(place, "INSERT INTO sealed_records VALUES (?, ?, ?, ?, ?, ?, ?)", *before)
    assert "not what the log says" in damage_check(place)


def test_an_entry_that_was_removed_changed_or_moved_is_found(place: Place, tmp_path: Path) -> None:
    for number, statement in enumerate(
        (
            "DELETE FROM audit_entries WHERE seq = 2",
            "UPDATE audit_entries SET data = replace(data, 'success', 'failure') WHERE seq = 2",
            "UPDATE audit_entries SET data = CAST(data AS TEXT) WHERE seq = 2",
            "UPDATE audit_entries SET data = 7 WHERE seq = 2",
            "UPDATE audit_entries SET leaf_hash = 'text' WHERE seq = 2",
            "UPDATE audit_entries SET leaf_hash = zeroblob(32) WHERE seq = 2",
            "UPDATE audit_entries SET seq = 1000 WHERE seq = 2",
            "UPDATE audit_entries SET seq = -1 WHERE seq = 2",
            "UPDATE audit_entries SET seq = 2.5 WHERE seq = 2",
            "UPDATE audit_entries SET seq = 'two' WHERE seq = 2",
        )
    ):
        copy = place.copy(tmp_path / str(number))
        let_any_number_in(copy)
        sql(copy, statement)
        with pytest.raises(IntegrityFailure), opened(copy) as home:
            verify_store(home.store)


def test_a_newest_entry_of_another_kind_stops_whoever_would_write_after_it(place: Place, tmp_path: Path) -> None:
    newest = "seq = (SELECT max(seq) FROM audit_entries)"
    for number, change in enumerate(("leaf_hash = 'text'", "leaf_hash = x'00'", "seq = 'high'", "seq = 1e300")):
        copy = place.copy(tmp_path / str(number))
        let_any_number_in(copy)
        sql(copy, f"UPDATE audit_entries SET {change} WHERE {newest}")
        copy.anchor.unlink()
        with pytest.raises(IntegrityFailure), opened(copy):
            pass


# Formats of another version


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE sealed_records SET wrapped_key = CAST(x'02' || substr(wrapped_key, 2) AS BLOB)", "record version 1"),
        ("UPDATE sealed_records SET wrapped_key = CAST(x'0109' || substr(wrapped_key, 3) AS BLOB)", "got 1, 9"),
        ("UPDATE sealed_records SET body = CAST(x'02' || substr(body, 2) AS BLOB)", "record version 1"),
    ],
)
def test_a_record_of_another_version_or_suite_is_refused(place: Place, statement: str, found: str) -> None:
    sql(place, statement)
    for (name,) in sql(place, "SELECT name FROM sealed_records"):
        rewritten(place, "sealed_records", f"name = '{name}'", version=1)
    with opened(place) as home:
        keys = home.keys()
        with pytest.raises(IntegrityFailure, match=found):
            home.store.read(lambda transaction: keys.get(transaction, "ca/token/worker"))


@pytest.mark.parametrize(
    "params",
    ['{"format":2,"suite":"aes-256-gcm"}', '{"format":1,"suite":"aes-128-cbc"}', "{}", "[]", "", "[" * 5000, '"text"'],
)
def test_a_seal_of_another_format_is_refused(place: Place, params: str) -> None:
    rewritten(place, "seals", "1", params=params)
    with opened(place) as home, pytest.raises(IntegrityFailure):
        home.keys()


def test_a_seal_of_another_kind_is_refused(place: Place) -> None:
    rewritten(place, "seals", "1", kind="pkcs11")
    with opened(place) as home, pytest.raises(IntegrityFailure, match="seal"):
        home.keys()


@pytest.mark.parametrize(("version", "said"), [("'core_9999'", "core_9999"), ("x'00'", r"b'\\x00'")])
def test_a_schema_of_another_version_is_refused(place: Place, version: str, said: str) -> None:
    sql(place, f"UPDATE alembic_version SET version_num = {version} WHERE version_num LIKE 'core%'")
    with pytest.raises(SchemaUnknown, match=said), opened(place):
        pass


@pytest.mark.parametrize("text", ["format = 2", 'format = "1"', "", "format = 1\n[future]\nx = 1"])
def test_settings_of_another_format_are_refused(place: Place, text: str) -> None:
    (place.home / "swarmsec.toml").write_text(text)
    with pytest.raises(UsageProblem), opened(place):
        pass


def test_an_entry_of_another_version_is_refused(place: Place) -> None:
    (row,) = sql(place, "SELECT data FROM audit_entries WHERE seq = 0")
    data = bytes(str(row[0], "utf-8").replace('"v":1', '"v":2'), "utf-8") if isinstance(row[0], bytes) else b""
    digest = hashlib.sha256(b"\x00" + data).digest()
    sql(place, "UPDATE audit_entries SET data = ?, leaf_hash = ? WHERE seq = 0", data, digest)
    with pytest.raises(EntryInvalid, match="version 1"), opened(place) as home:
        verify_store(home.store)
