"""Row numbers in groups, held on SQLite and on PostgreSQL by the same tests: asked for once, never given twice."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import Connection, Dialect, Select, Table

from swarmsec.errors import AlreadyExists, Denied
from swarmsec.services.ports import Transaction
from swarmsec.services.records import CertificateStatus
from swarmsec.storage import foreseen, insertbuffer, rows, tables
from swarmsec.storage.checking import verify_store
from swarmsec.storage.foreseen import Look
from swarmsec.storage.rows import Row, fetch_rows
from swarmsec.storage.store import Store
from swarmsec.storage.transaction import Transaction as StoredTransaction
from tests.integration.clocks import StandingClock
from tests.integration.storecontract import Database, database, event, open_store, store
from tests.integration.test_store_records import certificate

__all__ = ["database", "store"]


def issue(number: int | None = None) -> Callable[[Transaction], int]:
    """A unit that adds a certificate under the next row number, or under one that is given."""

    def unit(transaction: Transaction) -> int:
        chosen = transaction.certificates.next_id() if number is None else number
        transaction.certificates.add(replace(certificate(chosen), spki_sha256=bytes([chosen]) * 32))
        transaction.log(event())
        return chosen

    return unit


def test_a_group_asks_once_for_the_highest_row_number_and_writes_its_rows_together(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    asked: list[object] = []
    write, ask = insertbuffer.InsertBuffer.write, insertbuffer.highest_statement

    def counted_write(buffer: insertbuffer.InsertBuffer, table: Table, values: Sequence[Sequence[Any]]) -> None:
        if table is tables.certificates:
            written.append(len(values))
        write(buffer, table, values)

    def counted_ask(table: Table, dialect: Dialect) -> str:
        asked.append(table)
        return ask(table, dialect)

    monkeypatch.setattr(insertbuffer.InsertBuffer, "write", counted_write)
    monkeypatch.setattr(insertbuffer, "highest_statement", counted_ask)

    def look_and_issue(transaction: Transaction) -> int:
        # As the services do: by key, by name, and in other tables.
        assert transaction.certificates.by_public_key(b"\xff" * 32) == []
        assert transaction.certificates.by_subject("nobody") == []
        assert transaction.evictions.get("n1") is None
        assert transaction.settings.get("cluster_id") is None
        return issue()(transaction)

    outcomes = store.write_group([look_and_issue] * 20)
    assert [outcome.value for outcome in outcomes] == list(range(1, 21))
    assert written == [20]
    assert len(asked) == 1


def test_row_numbers_of_rows_that_were_taken_back_are_given_again(store: Store) -> None:
    store.write(issue(6))

    def fails_late(transaction: Transaction) -> None:
        assert issue()(transaction) == issue()(transaction) - 1
        raise Denied("no")

    # The second unit makes the group run again, each unit in a savepoint of its own.
    outcomes = store.write_group([issue(), fails_late, issue(), fails_late, issue()])
    assert [outcome.value for outcome in outcomes] == [7, None, 8, None, 9]
    assert store.write(issue()) == 10
    assert verify_store(store).rows == 5


def test_row_numbers_go_on_after_a_commit_that_failed(store: Store) -> None:
    def collides(transaction: Transaction) -> None:
        issue(2)(transaction)
        issue(2)(transaction)

    assert store.write(issue()) == 1
    with pytest.raises(AlreadyExists):
        store.write(collides)
    assert store.write(issue()) == 2


def test_row_numbers_count_on_from_what_another_store_wrote_in_between(database: Database, store: Store) -> None:
    other = database.open()
    found = [each.write(issue()) for each in (store, other, other, store, store, other)]
    assert found == [1, 2, 3, 4, 5, 6]


def test_row_numbers_are_given_once_when_two_stores_write_groups_at_once(database: Database, store: Store) -> None:
    other = database.open()
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(each.write_group, [issue()] * 5) for each in (store, other) * 6]
    numbers = [outcome.value for run in runs for outcome in run.result()]
    assert sorted(numbers) == list(range(1, 61))
    assert verify_store(store).rows == 60


def test_processes_that_issue_at_once_give_each_row_number_once(database: Database, store: Store) -> None:
    program = f"from {__name__} import issue_many; import sys; issue_many(*sys.argv[1:])"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, database.url, str(database.directory)],
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": ":".join(filter(None, sys.path))},
        )
        for _ in range(2)
    ]
    given = [int(line) for process in running for line in process.communicate(timeout=60)[0].split()]
    assert [process.returncode for process in running] == [0, 0]
    assert sorted(given) == list(range(1, 61))
    assert verify_store(store).rows == 60


def issue_many(url: str, directory: str) -> None:
    """What each of the processes above does: ten groups of three."""
    mine = open_store(url, Path(directory), StandingClock())
    print(*(outcome.value for _ in range(10) for outcome in mine.write_group([issue()] * 3)))
    mine.close()


def test_a_row_number_that_was_given_by_hand_counts(store: Store) -> None:
    outcomes = store.write_group([issue(), issue(40), issue(), issue(3), issue()])
    assert [outcome.value for outcome in outcomes] == [1, 40, 41, 3, 42]


def test_a_deleted_row_gives_its_number_back_as_the_database_sees_it(store: Store) -> None:
    def unit(transaction: Transaction) -> tuple[int, int]:
        issue()(transaction)
        issue()(transaction)
        before = transaction.certificates.next_id()
        # Nothing of ours deletes certificates; whatever does must not leave a number that was remembered.
        (row,) = StoredTransaction.find_all(cast("StoredTransaction", transaction), tables.certificates, id=2)
        StoredTransaction.delete(cast("StoredTransaction", transaction), tables.certificates, row)
        transaction.log(event())
        return before, transaction.certificates.next_id()

    assert store.write(unit) == (3, 2)


def test_what_a_unit_before_wrote_is_found_by_any_of_its_columns(store: Store) -> None:
    def looks(transaction: Transaction) -> list[int]:
        key = transaction.certificates.by_public_key(b"\x01" * 32)
        name = transaction.certificates.by_subject("n1")
        return [len(key), len(name), len(list(transaction.certificates.all()))]

    outcomes = store.write_group([issue(), looks, issue(), looks])
    assert [outcome.value for outcome in outcomes] == [1, [1, 1, 1], 2, [1, 2, 2]]


def _looks_of(number: int) -> list[Look]:
    key, holder = bytes([number]) * 32, certificate(number).subject_id
    return [Look(tables.certificates, "spki_sha256", key), Look(tables.certificates, "subject_id", holder)]


def test_what_units_look_for_is_asked_for_together_and_stays_true_while_they_write(store: Store) -> None:
    """The same units find the same, told beforehand or not: new, changed and taken back rows among it."""
    for number in (1, 2):
        store.write(issue(number))

    def revoke(transaction: Transaction) -> None:
        (record,) = transaction.certificates.by_public_key(b"\x02" * 32)
        transaction.certificates.change_status(record, status=CertificateStatus.REVOKED, revoked=7)
        transaction.log(event())

    def seen(transaction: Transaction) -> list[tuple[int, str]]:
        numbers = range(1, 6)
        found = [row for number in numbers for row in transaction.certificates.by_public_key(bytes([number]) * 32)]
        by_holder = [
            row for number in numbers for row in transaction.certificates.by_subject(certificate(number).subject_id)
        ]
        assert {row.id for row in found} == {row.id for row in by_holder}
        together = transaction.certificates.by_public_keys([bytes([number]) * 32 for number in numbers])
        assert [row for rows_of_key in together.values() for row in rows_of_key] == found
        holders = [certificate(number).subject_id for number in numbers]
        of_holders = transaction.certificates.by_subjects(holders)
        assert {holder: [*of_holders.get(holder, ())] for holder in holders} == {
            holder: [*transaction.certificates.by_subject(holder)] for holder in holders
        }
        return [(row.id, str(row.status)) for row in found]

    looks = [look for number in range(1, 6) for look in _looks_of(number)]
    units = [seen, issue(3), seen, revoke, seen]
    before, _, with_new, _, with_revoked = (outcome.value for outcome in store.write_group(units, looks))
    assert before == [(1, "valid"), (2, "valid")]
    assert with_new == [*before, (3, "valid")]
    assert with_revoked == [(1, "valid"), (2, "revoked"), (3, "valid")]

    def refused(transaction: Transaction) -> None:
        issue(4)(transaction)
        raise Denied("no")

    outcomes = store.write_group([issue(5), refused, seen], looks)
    assert [outcome.error is None for outcome in outcomes] == [True, False, True]
    assert outcomes[2].value == [*with_revoked, (5, "valid")]
    verify_store(store)


def test_a_group_asks_once_for_each_column_and_its_units_ask_no_more(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Table] = []

    def counted(connection: Connection, table: Table, statement: Select[Any], values: Row) -> list[Row]:
        asked.append(table)
        return fetch_rows(connection, table, statement, values)

    monkeypatch.setattr(foreseen, "fetch_rows", counted)
    monkeypatch.setattr(rows, "fetch_rows", counted)

    def look_and_issue(number: int) -> Callable[[Transaction], int]:
        def unit(transaction: Transaction) -> int:
            assert transaction.certificates.by_public_key(bytes([number]) * 32) == []
            assert transaction.certificates.by_subject(f"nobody-{number}") == []
            assert transaction.certificates.by_public_keys([bytes([number]) * 32]) == {}
            assert transaction.certificates.by_subjects([f"nobody-{number}"]) == {}
            return issue(number)(transaction)

        return unit

    numbers = range(1, 71)
    looks = [look for number in numbers for look in (_looks_of(number)[0], _nobody(number))]
    assert [outcome.value for outcome in store.write_group([look_and_issue(n) for n in numbers], looks)] == [*numbers]
    assert asked == [tables.certificates] * 2


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many new certificates were written in each call."""
    sizes: list[int] = []
    write = insertbuffer.InsertBuffer.write

    def counted(buffer: insertbuffer.InsertBuffer, table: Table, values: Sequence[Sequence[Any]]) -> None:
        if table is tables.certificates:
            sizes.append(len(values))
        write(buffer, table, values)

    monkeypatch.setattr(insertbuffer.InsertBuffer, "write", counted)
    return sizes


def test_a_look_at_many_leaves_new_rows_unwritten_that_are_not_among_them(store: Store, written: list[int]) -> None:
    def look_and_issue(number: int) -> Callable[[Transaction], int]:
        def unit(transaction: Transaction) -> int:
            assert transaction.certificates.by_public_keys([bytes([number]) * 32, b"\xff" * 32]) == {}
            return issue(number)(transaction)

        return unit

    store.write_group([look_and_issue(number) for number in range(1, 8)])
    assert written == [7]
    found = store.write(lambda transaction: transaction.certificates.by_public_keys([b"\x01" * 32, b"\x07" * 32]))
    assert {key: [row.id for row in rows_of_key] for key, rows_of_key in found.items()} == {
        b"\x01" * 32: [1],
        b"\x07" * 32: [7],
    }


def test_a_changed_row_is_written_after_the_new_ones_where_it_is_one_of_them_and_before_them_otherwise(
    store: Store, written: list[int]
) -> None:
    def change(number: int) -> Callable[[Transaction], int]:
        def unit(transaction: Transaction) -> int:
            found = transaction.certificates.by_public_keys([bytes([number]) * 32])
            (record,) = found[bytes([number]) * 32]
            changed = transaction.certificates.change_status(record, status=CertificateStatus.SUPERSEDED)
            transaction.log(event())
            return changed.id

        return unit

    assert [each.value for each in store.write_group([issue(), issue()])] == [1, 2]
    outcomes = store.write_group([issue(), change(1), issue(), change(2), issue(), change(4)])
    assert [outcome.value for outcome in outcomes] == [3, 1, 4, 2, 5, 4]
    assert written == [2, 3]
    states = store.read(lambda transaction: [str(record.status) for record in transaction.certificates.all()])
    assert states == ["superseded", "superseded", "valid", "superseded", "valid"]
    verify_store(store)


def _nobody(number: int) -> Look:
    return Look(tables.certificates, "subject_id", f"nobody-{number}")


@pytest.mark.parametrize("text", ["\0", "\ud800", "\u00e9"])
def test_a_look_for_what_no_row_has_is_left_to_its_unit(store: Store, text: str) -> None:
    looks = [Look(tables.certificates, "subject_id", text), *_looks_of(1)]
    assert [outcome.value for outcome in store.write_group([issue(1), issue(2)], looks)] == [1, 2]
