"""A backup becomes a whole home; it serves nothing until it is accepted, and accepting says what is missing."""

from __future__ import annotations

import json
import shutil
import tomllib
from dataclasses import replace

import pytest

from ca.identity import NodeRole
from swarmsec.config import load_config
from swarmsec.errors import UsageProblem
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.nodes.standing_tokens import open_standing_token
from swarmsec.storage.anchor import AnchorFile
from swarmsec.storage.checking import verify_store
from swarmsec.storage.errors import StoreRolledBack
from swarmsec.storage.tables import audit_entries
from swarmsec.wiring.homes.home import Home, open_home
from swarmsec.wiring.homes.intents import resolve_intents
from swarmsec.wiring.homes.restoring import Accepted, accept_home
from tests.unit.swarmsec.homes import OPERATOR, open_values, seal_values
from tests.unit.swarmsec.wiring.homes.restores import (
    ON_ANOTHER_MACHINE,
    VALUES,
    Saved,
    accept,
    restore,
    with_header,
)


def entries(home: Home) -> list[dict[str, object]]:
    with home.store.reading() as transaction:
        rows = transaction.connection.execute(audit_entries.select().order_by(audit_entries.c.seq)).all()
    return [json.loads(row.data) for row in rows]


def tokens(home: Home) -> set[str]:
    keys = home.keys()
    with home.store.reading() as transaction:
        return {open_standing_token(transaction, keys, role)[1].format() for role in NodeRole}


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
