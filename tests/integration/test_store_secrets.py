"""What is kept of secrets beside their values, over every database."""

from __future__ import annotations

import pytest

from swarmsec.services.ports import Transaction
from swarmsec.services.secrets.secret_records import SecretRecord, SecretVersionRecord
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
        assert list(transaction.secrets.page("", after="", limit=9)) == secrets
        assert list(transaction.secrets.versions("a/b")) == versions[:2]
        assert list(transaction.secrets.versions_between("", "a/b", "a/b-c")) == versions
        assert list(transaction.secrets.versions_between("", "a/b-c", "a/b-c")) == versions[2:]
        assert [transaction.secrets.is_generated("a/b", number) for number in (1, 2, 3)] == [False, True, False]
        assert transaction.secrets.generated_between("", "a/b", "a/b-c") == {("a/b", 2)}
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
            found = [record.name for record in transaction.secrets.page(prefix, after="", limit=99)]
            assert set(found) == expected, prefix
            if found:
                between = prefix, found[0], found[-1]
                assert [version.name for version in transaction.secrets.versions_between(*between)] == found, prefix
                assert transaction.secrets.generated_between(*between) == {(name, 1) for name in expected}, prefix


@pytest.mark.parametrize("prefix", ["", "te", "team/"])
def test_pages_leave_nobody_out_and_have_nobody_twice(named: Store, prefix: str) -> None:
    """Whatever order a database sorts names in."""
    with named.reading() as transaction:
        whole = [record.name for record in transaction.secrets.page(prefix, after="", limit=99)]
        for limit in (1, 2, 5):
            found: list[str] = []
            while page := transaction.secrets.page(prefix, after=found[-1] if found else "", limit=limit):
                assert len(page) <= limit
                found += [record.name for record in page]
            assert found == whole


def test_the_database_finds_the_secrets_whose_current_value_is_old(store: Store) -> None:
    """Made at 5 and put at 50, at 5 alone, and at 5 with no version that counts, changed at 60."""
    secrets = {"new": (2, 50), "old": (1, 5), "none": (0, 60)}

    def fill(transaction: Transaction) -> None:
        for name, (current, changed) in secrets.items():
            transaction.secrets.put(
                SecretRecord(
                    name=name, created=5, changed=changed, current=current, previous=0, max_versions=10, labels="{}"
                )
            )
            for version, created in ((1, 5), (2, 50)):
                transaction.secrets.put_version(
                    SecretVersionRecord(name=name, version=version, created=created, state="live", fingerprint="f")
                )
        transaction.log(event())
        assert made_by(transaction, 49) == {"old"}

    def made_by(transaction: Transaction, moment: int) -> set[str]:
        return {record.name for record in transaction.secrets.page("", after="", limit=9, made_by=moment)}

    store.write(fill)
    with store.reading() as transaction:
        found = {moment: made_by(transaction, moment) for moment in (4, 5, 49, 50, 59, 60)}
    assert found == {
        4: set(),
        5: {"old"},
        49: {"old"},
        50: {"old", "new"},
        59: {"old", "new"},
        60: {"old", "new", "none"},
    }
