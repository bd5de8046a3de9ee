"""The frozen backup of archive format 1 is restored by every version; see tests/vectors/backup."""

from __future__ import annotations

from pathlib import Path

import pytest

from ca.identity import NodeRole
from ca.issuing import fingerprint
from swarmsec.keys.recovery import parse_recovery_key
from swarmsec.services.nodes.standing_tokens import open_standing_token
from swarmsec.storage.checking import verify_store
from swarmsec.wiring.homes.backups import Watcher
from swarmsec.wiring.homes.home import open_home, refuse_to_ask
from swarmsec.wiring.homes.restoring import Wanted, accept_home, restore_home
from tests.unit.swarmsec.homes import OPERATOR, private_files

VECTORS = Path(__file__).resolve().parents[4] / "vectors" / "backup"
STORE_ID = "58f6846f-886e-4b52-8083-8e305b9c4d57"
CLUSTER_ID = "s7qcrqzq0w1a1j7y4e7m2v9xk"
ROOT_SHA256 = "dc8ce554e51ffbea69c4b66bb253056385c7140b7b1d06ee5a632b1a77d62ad4"
ENTRIES = 12


def test_format_1_is_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    recovery = parse_recovery_key((VECTORS / "format-1.key").read_bytes())
    wanted = Wanted(home=tmp_path / "home", backup=VECTORS / "format-1.age")
    watcher = Watcher(begins=lambda rows: None, moved=lambda rows: None)
    with private_files():
        restored = restore_home(wanted, recovery, refuse_to_ask, OPERATOR, watcher)
    assert (restored.store_id, restored.entries) == (STORE_ID, ENTRIES)
    home = open_home(tmp_path / "home", allow_restored=True)
    try:
        accept_home(home, home.keys(), OPERATOR)
        verify_store(home.store)
        with home.store.reading() as transaction:
            authority = transaction.authorities.active()
            assert authority is not None
            assert fingerprint(authority.certificate) == ROOT_SHA256
            assert transaction.settings.get("cluster_id") == CLUSTER_ID
            home.keys().signer(transaction, authority.key_name)
            for role in NodeRole:
                open_standing_token(transaction, home.keys(), role)
    finally:
        home.close()
