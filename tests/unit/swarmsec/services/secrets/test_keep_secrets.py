"""Secrets in versions: a model, what each change leaves in store and log, and what is refused without a trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from policies.loading import load_documents
from swarmsec.errors import AlreadyExists, Changed, Denied, NotFound, UsageProblem
from swarmsec.keys.signers import SealedKeys
from swarmsec.secretbytes import SecretBytes
from swarmsec.secretstore.errors import RecordUnreadable, SecretInvalid
from swarmsec.secretstore.names import SecretName
from swarmsec.services.access.apply_policy import apply_policies
from swarmsec.services.ports import Transaction
from swarmsec.services.requester import Requester
from swarmsec.services.secrets.keep_secrets import (
    NewSecret,
    create_secret,
    delete_versions,
    destroy_versions,
    put_secret,
    undelete_versions,
)
from swarmsec.services.secrets.kept_secrets import KeptSecret, find_secret, open_version, record_name
from swarmsec.services.secrets.reveal_secret import reveal_secret
from swarmsec.storage.checking import verify_store
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk

T = TypeVar("T")
NAME = SecretName.parse("team/app/db")
MARKER = b"marker-5f2c1d"


class Shelf:
    """The services of the secret store over one home."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.keys: SealedKeys = desk.keys

    def write(self, unit: Callable[[Transaction], T]) -> T:
        return self.desk.home.store.write(unit)

    def create(self, value: bytes = b"one", name: SecretName = NAME, max_versions: int = 10) -> KeptSecret:
        new = NewSecret(name=name, value=SecretBytes(value), labels={"owner": "shop"}, max_versions=max_versions)
        return self.write(lambda transaction: create_secret(transaction, self.keys, new, OPERATOR))

    def put(self, value: bytes, cas: int | None = None, max_versions: int | None = None) -> KeptSecret:
        return self.write(
            lambda transaction: put_secret(
                transaction, self.keys, NAME, SecretBytes(value), OPERATOR, cas=cas, max_versions=max_versions
            )
        )

    def reveal(self, version: int | None = None) -> bytes:
        return self.write(
            lambda transaction: reveal_secret(transaction, self.keys, NAME, OPERATOR, version=version)
        ).reveal()

    def found(self, name: SecretName = NAME) -> KeptSecret:
        return self.desk.home.store.read(lambda transaction: find_secret(transaction, name))

    def actions(self) -> list[str]:
        from swarmsec.audit.entry import parse_entry

        with self.desk.home.store.reading() as transaction:
            return [str(parse_entry(stored.data)["action"]) for stored in transaction.log_entries.since(0)]


@pytest.fixture
def shelf(desk: Desk) -> Shelf:
    return Shelf(desk)


def test_a_value_comes_back_byte_for_byte_and_every_step_is_on_record(shelf: Shelf) -> None:
    shelf.create(b"\x00\xff one\n")
    shelf.put(b"two", cas=1)

    assert shelf.reveal() == b"two"
    assert shelf.reveal(1) == b"\x00\xff one\n"
    assert shelf.actions()[-4:] == ["secret.create", "secret.put", "secret.reveal", "secret.reveal"]
    verify_store(shelf.desk.home.store)


def test_a_name_is_taken_once(shelf: Shelf) -> None:
    shelf.create()
    before = shelf.actions()

    with pytest.raises(AlreadyExists, match="secret team/app/db exists"):
        shelf.create(b"other")

    assert shelf.actions() == before
    assert shelf.reveal() == b"one"


def test_check_and_set(shelf: Shelf) -> None:
    shelf.create()
    shelf.put(b"two", cas=1)

    with pytest.raises(Changed, match="expected version 1 to be the newest of team/app/db, got 2"):
        shelf.put(b"three", cas=1)

    assert shelf.found().history.newest == 2


def test_equal_values_have_equal_fingerprints_within_a_secret_alone(shelf: Shelf) -> None:
    shelf.create(b"same")
    shelf.put(b"same")
    other = shelf.create(b"same", SecretName.parse("other"))

    first, second = shelf.found().versions
    assert first.fingerprint == second.fingerprint
    assert other.versions[0].fingerprint != first.fingerprint
    assert len(first.fingerprint) == 32


def test_nothing_of_a_value_stands_in_the_database_or_the_log(shelf: Shelf) -> None:
    shelf.create(MARKER)

    with shelf.desk.home.store.engine.connect() as connection:
        dumped = "\n".join(connection.connection.driver_connection.iterdump())  # type: ignore[union-attr]  # sqlite3's
    assert MARKER.decode() not in dumped
    assert MARKER.hex().upper() not in dumped.upper()
    assert MARKER.decode() not in repr(shelf.found())


def test_versions_beyond_the_bound_are_destroyed(shelf: Shelf) -> None:
    shelf.create(max_versions=2)
    shelf.put(b"two")
    kept = shelf.put(b"three")

    assert [version.state for version in kept.versions] == ["destroyed", "live", "live"]
    assert kept.versions[0].fingerprint == ""
    with shelf.desk.home.store.reading() as transaction:
        assert transaction.sealed.get(record_name(NAME.text, 1)) is None


def test_a_lower_bound_takes_effect_with_the_next_version(shelf: Shelf) -> None:
    shelf.create()
    shelf.put(b"two")
    shelf.put(b"three")

    assert [version.state for version in shelf.put(b"four", max_versions=1).versions] == [
        "destroyed",
        "destroyed",
        "live",
        "live",
    ]


def test_a_withdrawn_version_is_given_to_nobody_until_it_is_brought_back(shelf: Shelf) -> None:
    shelf.create()
    shelf.put(b"two")
    shelf.write(lambda transaction: delete_versions(transaction, NAME, (), OPERATOR))

    with pytest.raises(NotFound, match="expected a live version 2 of team/app/db: it is deleted"):
        shelf.reveal()

    shelf.write(lambda transaction: undelete_versions(transaction, NAME, (), OPERATOR))
    assert shelf.reveal() == b"two"


@pytest.mark.parametrize("change", [delete_versions, undelete_versions, destroy_versions])
def test_a_version_that_is_named_twice_is_meant_once(
    shelf: Shelf, change: Callable[[Transaction, SecretName, tuple[int, ...], Requester], KeptSecret]
) -> None:
    shelf.create()
    shelf.put(b"two")
    shelf.write(lambda transaction: change(transaction, NAME, (1, 2, 1), OPERATOR))
    entry: dict[str, Any] = shelf.desk.last_entry()
    assert entry["fields"]["versions"] == ["1", "2"]


def test_a_destroyed_version_is_gone(shelf: Shelf) -> None:
    shelf.create()
    shelf.put(b"two")
    shelf.write(lambda transaction: destroy_versions(transaction, NAME, (1,), OPERATOR))

    with pytest.raises(NotFound, match="it is destroyed"):
        shelf.reveal(1)
    with pytest.raises(SecretInvalid, match="which is destroyed"):
        shelf.write(lambda transaction: undelete_versions(transaction, NAME, (1,), OPERATOR))
    assert shelf.reveal() == b"two"
    verify_store(shelf.desk.home.store)


def test_destroying_everything_leaves_the_history(shelf: Shelf) -> None:
    shelf.create()
    shelf.put(b"two")
    kept = shelf.write(lambda transaction: destroy_versions(transaction, NAME, (), OPERATOR))

    assert [version.state for version in kept.versions] == ["destroyed", "destroyed"]
    assert shelf.put(b"three").history.newest == 3
    assert shelf.reveal() == b"three"


def test_a_value_pasted_from_another_version_does_not_open(shelf: Shelf) -> None:
    shelf.create()
    shelf.put(b"two")

    def pasted(transaction: Transaction) -> None:
        from dataclasses import replace

        old = transaction.sealed.get(record_name(NAME.text, 1))
        assert old is not None
        transaction.sealed.put(replace(old, name=record_name(NAME.text, 2)))
        open_version(transaction, shelf.keys, shelf.found(), 2)

    with pytest.raises(RecordUnreadable):
        shelf.write(pasted)


@pytest.mark.parametrize("value", [b"", b"x" * 512_000])
def test_a_value_that_docker_would_not_take(value: bytes, shelf: Shelf) -> None:
    with pytest.raises(SecretInvalid, match="expected a value of 1 to 511,999 bytes"):
        shelf.create(value)


def test_the_largest_value(shelf: Shelf) -> None:
    shelf.create(b"x" * 511_999)

    assert len(shelf.reveal()) == 511_999


def test_nothing_is_kept_under_the_names_of_issued_certificates(shelf: Shelf) -> None:
    with pytest.raises(UsageProblem, match="expected a name outside pki/, got pki/web"):
        shelf.create(name=SecretName.parse("pki/web"))


def test_a_policy_forbids_revealing_and_the_refusal_is_on_record(shelf: Shelf) -> None:
    shelf.create()
    text = (
        b"apiVersion: swarmsec.dev/v1\nkind: SecretAccessPolicy\nmetadata: {name: closed}\n"
        b'spec:\n  rules:\n    - {secrets: ["team/**"], effect: deny}\n'
    )
    documents = load_documents(text, source="test")
    shelf.write(lambda transaction: apply_policies(transaction, documents, OPERATOR))

    with pytest.raises(Denied, match="team/app/db may not be revealed: a rule denies it to everybody"):
        shelf.reveal()

    assert shelf.actions()[-1] == "secret.reveal"


class SecretModel(RuleBasedStateMachine):
    """One secret against a plain list of values."""

    desk: Desk

    def __init__(self) -> None:
        super().__init__()
        self.shelf = Shelf(self.desk)
        self.name = SecretName.parse(f"model/{self.desk.home.store.head().size}")
        self.values: list[bytes | None] = []
        self.withdrawn: set[int] = set()

    @precondition(lambda self: not self.values)
    @rule(value=st.binary(min_size=1, max_size=40))
    def create(self, value: bytes) -> None:
        self.shelf.create(value, self.name, max_versions=100)
        self.values.append(value)

    @precondition(lambda self: self.values)
    @rule(value=st.binary(min_size=1, max_size=40))
    def put(self, value: bytes) -> None:
        keys = self.shelf.keys
        self.shelf.write(lambda t: put_secret(t, keys, self.name, SecretBytes(value), OPERATOR))
        self.values.append(value)

    @precondition(lambda self: self.values)
    @rule(data=st.data(), verb=st.sampled_from([delete_versions, undelete_versions, destroy_versions]))
    def change(self, data: st.DataObject, verb: Callable[..., KeptSecret]) -> None:
        number = data.draw(st.integers(min_value=1, max_value=len(self.values)))
        try:
            self.shelf.write(lambda t: verb(t, self.name, (number,), OPERATOR))
        except SecretInvalid:
            assert self.values[number - 1] is None
            return
        if verb is destroy_versions:
            self.values[number - 1] = None
        elif verb is delete_versions:
            self.withdrawn.add(number)
        else:
            self.withdrawn.discard(number)

    @invariant()
    def everything_is_as_the_model_says(self) -> None:
        if not self.values:
            return
        kept = self.shelf.found(self.name)
        assert kept.record.current == len(self.values)
        with self.desk.home.store.reading() as transaction:
            for number, value in enumerate(self.values, 1):
                if value is None or number in self.withdrawn:
                    with pytest.raises(NotFound):
                        open_version(transaction, self.shelf.keys, kept, number)
                else:
                    assert open_version(transaction, self.shelf.keys, kept, number).reveal() == value


def test_the_store_is_what_a_plain_list_is(desk: Desk) -> None:
    class Model(SecretModel):
        pass

    Model.desk = desk
    bounds = settings(max_examples=15, stateful_step_count=12, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Model, settings=bounds)
    verify_store(desk.home.store)
