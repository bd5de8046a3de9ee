"""What is kept of secrets beside their values, over every database."""

from __future__ import annotations

import pytest

from swarmsec.services.ports import Transaction
from swarmsec.services.secret_records import SecretRecord, SecretVersionRecord
from swarmsec.storage.checking import verify_store
from swarmsec.storage.store import Store
from tests.integration.storecontract import database, event, store

__all__ = ["database", "store"]

NAMES = ("Team/a", "a_b", "axb", "team", "team-x", "team.a", "team/a", "team/a/b", "team/ab", "team/b", "team0", "teal")


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


@pytest.fixture
def named(store: Store) -> Store:
    """A store with a secret of each name, its one version drawn by chance."""

    def fill(transaction: Transaction) -> None:
        for name in NAMES:
            transaction.secrets.put(
                SecretRecord(name=name, created=5, changed=6, current=1, previous=0, max_versions=10, labels="{}")
            )
            transaction.secrets.put_version(
                SecretVersionRecord(name=name, version=1, created=5, state="live", fingerprint="f" * 32)
            )
            transaction.secrets.note_generated(name, 1)
        transaction.log(event())

    store.write(fill)
    return store


def test_a_prefix_finds_the_names_that_begin_with_it_and_no_other(named: Store) -> None:
    odd = (
        "%",
        "_",
        "a_",
        "a%",
        "*",
        "tea?",
        "[t]",
        "\\",
        "te\\am",
        "team//",
        "'",
        "\x7f",
        "\0",
        "té",
        "team\udcc3",
        "\U0010ffff",
    )
    every = {name[:end] for name in NAMES for end in range(len(name) + 1)}
    with named.reading() as transaction:
        for prefix in (*sorted(every), *odd, "TEAM", "team/a/b/c", "zz"):
            expected = {name for name in NAMES if name.startswith(prefix)}
            assert {record.name for record in transaction.secrets.all(prefix)} == expected, prefix
            assert {version.name for version in transaction.secrets.all_versions(prefix)} == expected, prefix
            assert transaction.secrets.all_generated(prefix) == {(name, 1) for name in expected}, prefix
