"""What is kept of secrets beside their values, over every database."""

from __future__ import annotations

from swarmsec.services.ports import Transaction
from swarmsec.services.secret_records import SecretRecord, SecretVersionRecord
from swarmsec.storage.checking import verify_store
from swarmsec.storage.store import Store
from tests.integration.storecontract import database, event, store

__all__ = ["database", "store"]


def test_secrets_come_back_one_by_one_and_all_at_once(store: Store) -> None:
    secrets = [
        SecretRecord(name=name, created=5, changed=6, current=2, previous=1, max_versions=10, labels="{}")
        for name in ("a/b", "a/b-c")
    ]
    versions = [
        SecretVersionRecord(name=secret.name, version=number, created=5, state="live", fingerprint="f" * 32)
        for secret in secrets
        for number in (1, 2)
    ]

    def fill(transaction: Transaction) -> None:
        for secret in secrets:
            transaction.secrets.put(secret)
        for version in versions:
            transaction.secrets.put_version(version)
        for number in (1, 2):
            transaction.secrets.note_generated("a/b", number)
        transaction.secrets.forget_generated("a/b", 1)
        transaction.secrets.forget_generated("a/b-c", 1)
        transaction.log(event())

    store.write(fill)
    with store.reading() as transaction:
        assert list(transaction.secrets.all()) == secrets
        assert list(transaction.secrets.versions("a/b")) == versions[:2]
        assert list(transaction.secrets.all_versions()) == versions
        assert [transaction.secrets.is_generated("a/b", number) for number in (1, 2, 3)] == [False, True, False]
        assert transaction.secrets.all_generated() == {("a/b", 2)}
    assert verify_store(store).rows == 7
