"""Homes on disk for tests: made anew, filled with sealed records, opened again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from swarmsec.audit.actions import Action
from swarmsec.audit.entry import Actor, ObjectRef, parse_entry
from swarmsec.keys.recovery import RecoveryKey
from swarmsec.keys.signers import SealedKeys
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.ca.init_authority import init_authority
from swarmsec.services.ports import Transaction
from swarmsec.services.records import KeyKind
from swarmsec.services.requester import Requester
from swarmsec.wiring.homes.creating import NewHome, create_home
from swarmsec.wiring.homes.home import Home, refuse_to_ask

OPERATOR = Requester(actor=Actor(type="local", id="uid:1000"))
FILL_BATCH = 50


@contextmanager
def private_files() -> Iterator[None]:
    """What the command line sets for its whole process; a home whose files others may read does not open."""
    former = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(former)


def make_home(path: Path) -> tuple[Home, SealedKeys, RecoveryKey]:
    """A finished home with an authority, its keys open."""
    with private_files():
        created = create_home(NewHome(path=path), refuse_to_ask, OPERATOR)
    keys = created.home.keys()
    created.home.store.write(
        lambda transaction: init_authority(transaction, keys, OPERATOR, cluster_id=None, key_kind=KeyKind.P256)
    )
    return created.home, keys, created.recovery


def seal_values(home: Home, keys: SealedKeys, values: dict[str, bytes]) -> None:
    """Seal values by name, in transactions whose entries stay small."""
    names = sorted(values)
    for start in range(0, len(names), FILL_BATCH):
        part = names[start : start + FILL_BATCH]
        home.store.write(partial(_seal, names=part, keys=keys, values=values))


def _seal(transaction: Transaction, names: list[str], keys: SealedKeys, values: dict[str, bytes]) -> None:
    for name in names:
        keys.put(transaction, name, SecretBytes(values[name]))
    transaction.log(OPERATOR.event(Action.KEY_CREATE, ObjectRef(type="test-records")))


def open_values(home: Home, keys: SealedKeys, names: list[str]) -> dict[str, bytes]:
    """The values of names."""
    with home.store.reading() as transaction:
        return {name: keys.get(transaction, name).reveal() for name in names}


def logged(home: Home, action: str) -> list[dict[str, object]]:
    """The entries of an action, oldest first."""
    with home.store.reading() as transaction:
        entries = [parse_entry(stored.data) for stored in transaction.log_entries.since(0)]
    return [entry for entry in entries if entry["action"] == action]
