"""The key ring's terms: which key opens what, also after a transaction that never was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import SystemClock
from swarmsec.config import Config
from swarmsec.errors import IntegrityFailure
from swarmsec.keys.keyring import KeyRing
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.ports import Transaction
from swarmsec.services.requester import SERVICE
from swarmsec.storage.store import Store
from swarmsec.wiring.homes.home import open_store

VALUE = SecretBytes(b"a value that is sealed")


class _GivenUp(Exception):
    """The unit changed its mind after it had used the new term."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path, Config(), SystemClock())
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def ring() -> KeyRing:
    return KeyRing("store", SecretBytes(bytes(32)))


def _seal_under_a_new_term(ring: KeyRing, transaction: Transaction) -> None:
    ring.add_term(transaction)
    ring.put(transaction, "record", VALUE)
    transaction.log(SERVICE.event(Action.KEY_CREATE, ObjectRef(type="key-term")))


def test_a_term_of_a_transaction_that_was_rolled_back_seals_nothing(store: Store, ring: KeyRing) -> None:
    def give_up(transaction: Transaction) -> None:
        _seal_under_a_new_term(ring, transaction)
        raise _GivenUp

    with pytest.raises(_GivenUp):
        store.write(give_up)
    store.write(lambda transaction: _seal_under_a_new_term(ring, transaction))

    elsewhere = KeyRing("store", SecretBytes(bytes(32)))
    assert store.read(lambda transaction: elsewhere.get(transaction, "record")) == VALUE


def test_what_another_process_rotated_opens_here(store: Store, ring: KeyRing) -> None:
    store.write(lambda transaction: _seal_under_a_new_term(ring, transaction))
    other = KeyRing("store", SecretBytes(bytes(32)))

    store.write(lambda transaction: _seal_under_a_new_term(other, transaction))

    assert store.read(lambda transaction: ring.get(transaction, "record")) == VALUE


def test_a_token_that_is_kept_open_is_the_newest_one_and_nobody_can_wipe_it(store: Store, ring: KeyRing) -> None:
    def put(transaction: Transaction, value: bytes) -> None:
        ring.put(transaction, "ca/token/worker", SecretBytes(value))
        transaction.log(SERVICE.event(Action.KEY_CREATE, ObjectRef(type="key-term")))

    def opened() -> SecretBytes:
        return store.read(lambda transaction: ring.get(transaction, "ca/token/worker"))

    store.write(lambda transaction: _seal_under_a_new_term(ring, transaction))
    for number in range(8):
        store.write(lambda transaction, value=b"%d" % number: put(transaction, value))  # type: ignore[misc]  # a default argument
        opened().wipe()
        assert opened().reveal() == b"%d" % number
    store.write(_remove)
    with pytest.raises(IntegrityFailure):
        opened()


def _remove(transaction: Transaction) -> None:
    transaction.sealed.remove("ca/token/worker")
    transaction.log(SERVICE.event(Action.KEY_CREATE, ObjectRef(type="key-term")))
