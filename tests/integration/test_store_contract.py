"""What a store promises, held on SQLite and on PostgreSQL by the same tests: units of work and writers at once."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import Actor, ObjectRef
from swarmsec.errors import AlreadyExists, Denied, NotFound, UsageProblem
from swarmsec.services.ports import Refusal, Transaction
from swarmsec.services.records import (
    Intent,
)
from swarmsec.services.requester import Requester
from swarmsec.storage.checking import verify_store
from swarmsec.storage.store import Store
from swarmsec.storage.tables import settings
from swarmsec.storage.transaction import UnloggedChange
from tests.integration.clocks import StandingClock
from tests.integration.storecontract import (
    Database,
    database,
    entries,
    event,
    open_store,
    put,
    store,
    value_of,
)

__all__ = ["database", "store"]


# Writing, refusing, failing


def test_what_a_unit_wrote_is_read_by_every_store_with_its_entry(database: Database, store: Store) -> None:
    assert store.write(put("name", "first")) == 0
    assert store.write(put("name", "second")) == 1
    other = database.open()
    assert value_of(other, "name") == "second"
    assert [entry["reason"] for entry in entries(other)] == ["name=first", "name=second"]
    assert other.head() == store.head()
    assert verify_store(other).entries == 2


def test_a_refusal_undoes_the_unit_and_leaves_its_entry_alone(store: Store) -> None:
    def refused(transaction: Transaction) -> None:
        transaction.settings.put("name", "value")
        transaction.log(event("undone"))
        raise Refusal(Denied("no"), event("refused", outcome=Outcome.DENIED))

    with pytest.raises(Denied, match=r"^no$"):
        store.write(refused)
    assert value_of(store, "name") is None
    assert [entry["reason"] for entry in entries(store)] == ["refused"]
    assert verify_store(store).rows == 0


@pytest.mark.parametrize("error", [NotFound("nothing there"), ZeroDivisionError("a defect"), KeyError("x")])
def test_a_unit_that_fails_leaves_nothing_and_the_store_goes_on(store: Store, error: Exception) -> None:
    def fails(transaction: Transaction) -> None:
        put("name", "value")(transaction)
        raise error

    with pytest.raises(type(error)):
        store.write(fails)
    assert entries(store) == []
    assert store.write(put("name", "after")) == 0
    assert verify_store(store).entries == 1


def test_one_failing_unit_of_a_group_leaves_no_trace_in_the_others(store: Store) -> None:
    def refused(transaction: Transaction) -> None:
        put("shared", "refused")(transaction)
        raise Refusal(Denied("no"), event("refused", outcome=Outcome.DENIED))

    def fails(transaction: Transaction) -> None:
        put("shared", "failed")(transaction)
        raise NotFound("nothing there")

    def doubles(transaction: Transaction) -> None:
        transaction.intents.open(Intent(request_id="twice", action="a", started=1, data="{}"))
        transaction.intents.open(Intent(request_id="twice", action="b", started=2, data="{}"))
        transaction.log(event("twice"))

    def forgets(transaction: Transaction) -> None:
        transaction.settings.put("shared", "forgotten")

    outcomes = store.write_group([put("a", "1"), refused, put("b", "2"), fails, doubles, forgets, put("c", "3")])
    assert [outcome.value for outcome in outcomes] == [0, None, 2, None, None, None, 3]
    kinds = [type(outcome.error) for outcome in outcomes]
    assert kinds == [type(None), Denied, type(None), NotFound, AlreadyExists, UnloggedChange, type(None)]
    assert [entry["reason"] for entry in entries(store)] == ["a=1", "refused", "b=2", "c=3"]
    assert [value_of(store, name) for name in ("a", "b", "c", "shared")] == ["1", "2", "3", None]
    assert verify_store(store).rows == 3


def test_units_that_are_refused_before_they_wrote_let_their_group_go_on(store: Store) -> None:
    runs: list[str] = []

    def counted(name: str) -> Callable[[Transaction], int]:
        def unit(transaction: Transaction) -> int:
            runs.append(name)
            return put(name, "1")(transaction)

        return unit

    def refused(transaction: Transaction) -> None:
        assert transaction.settings.get("a") == "1"
        raise Refusal(Denied("no"), event("refused", outcome=Outcome.DENIED))

    def not_found(transaction: Transaction) -> None:
        raise NotFound("nothing there")

    outcomes = store.write_group([counted("a"), refused, not_found, counted("b"), refused])
    assert [outcome.value for outcome in outcomes] == [0, None, None, 2, None]
    kinds = [type(outcome.error) for outcome in outcomes]
    assert kinds == [type(None), Denied, NotFound, type(None), Denied]
    assert [entry["reason"] for entry in entries(store)] == ["a=1", "refused", "b=1", "refused"]
    assert runs == ["a", "b"]
    assert verify_store(store).rows == 2


def test_a_change_without_an_entry_is_not_kept(store: Store) -> None:
    with pytest.raises(UnloggedChange, match="settings"):
        store.write(lambda transaction: transaction.settings.put("name", "value"))

    def logs_first(transaction: Transaction) -> None:
        transaction.log(event("too early"))
        transaction.settings.put("name", "value")

    with pytest.raises(UnloggedChange, match="settings"):
        store.write(logs_first)
    assert value_of(store, "name") is None
    assert entries(store) == []


def test_a_reader_cannot_write(store: Store) -> None:
    store.write(put("name", "value"))
    with pytest.raises(UnloggedChange):
        store.read(lambda transaction: transaction.settings.put("name", "changed"))
    with pytest.raises(UnloggedChange):
        store.read(lambda transaction: transaction.settings.put("new", "value"))
    with pytest.raises(UnloggedChange):
        store.read(lambda transaction: transaction.leases.take("work", "me", 10))
    with pytest.raises(UnloggedChange):
        store.read(lambda transaction: transaction.log(event()))
    assert value_of(store, "name") == "value"
    assert verify_store(store).rows == 1


def test_a_reader_sees_one_state(database: Database, store: Store) -> None:
    store.write(put("name", "before"))
    with database.open().snapshot() as connection:
        first = connection.execute(settings.select()).all()
        store.write(put("name", "after"))
        assert connection.execute(settings.select()).all() == first
    assert value_of(store, "name") == "after"


@pytest.mark.parametrize("text", ["nul \0 inside", "lone \ud800 surrogate"])
def test_a_text_that_not_every_database_keeps_is_refused(store: Store, text: str) -> None:
    for unit in (put("name", text), put(text, "value")):
        with pytest.raises(UsageProblem):
            store.write(unit)
    assert entries(store) == []


@pytest.mark.parametrize(
    "text",
    ["\x00\x01\x1b[31mred\x1b[0m\x7f\r\n\t", "<script>alert(1)</script>&amp;", '"\\/\u2028\u2029é𝄞', "\ud83d lone"],
)
def test_an_entry_carries_any_text_and_stays_one_entry(store: Store, text: str) -> None:
    store.write(lambda transaction: transaction.log(event(text, field=text)))
    (entry,) = entries(store)
    kept = text.encode("utf-8", "replace").decode()
    assert entry["reason"] == kept
    assert entry["fields"] == {"field": kept}
    assert verify_store(store).entries == 1


def test_an_entry_cuts_a_text_of_a_mebibyte_and_says_so(store: Store) -> None:
    requester = Requester(actor=Actor(type="local", id="z" * 2**20), request_id="y" * 2**20)
    long = requester.event(Action.POLICY_APPLY, ObjectRef(type="test", name="n" * 2**20), reason="x" * 2**20)
    store.write(lambda transaction: transaction.log(long))
    (entry,) = entries(store)
    assert entry["reason"] == "x" * 1024 + f"…(+{2**20 - 1024})"
    assert entry["request_id"].startswith("yyy")
    assert len(json.dumps(entry)) < 8192


def test_a_row_with_a_long_key_is_the_one_that_the_log_names(store: Store) -> None:
    store.write(put("k" * 3000, "value"))
    assert verify_store(store).rows == 1


# Two writers


def test_two_stores_in_two_threads_give_out_one_sequence_without_gaps(database: Database, store: Store) -> None:
    others = [store, database.open(), database.open()]
    written: list[int] = []

    def work(mine: Store, name: str) -> None:
        written.extend(mine.write(put(name, str(number))) for number in range(15))

    threads = [threading.Thread(target=work, args=(mine, f"t{number}")) for number, mine in enumerate(others)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(written) == list(range(45))
    assert [entry["seq"] for entry in entries(store)] == list(range(45))
    assert [value_of(store, f"t{number}") for number in range(3)] == ["14"] * 3
    assert verify_store(store).entries == 45


def test_one_store_is_written_to_by_several_threads_in_turn(store: Store) -> None:
    threads = [threading.Thread(target=store.write, args=(put(f"t{number}", "x"),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verify_store(store).entries == 8


def test_processes_that_write_at_once_give_out_one_sequence_without_gaps(database: Database, store: Store) -> None:
    program = f"from {__name__} import write_many; import sys; write_many(*sys.argv[1:])"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, database.url, str(database.directory), f"p{number}"],
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": ":".join(filter(None, sys.path))},
        )
        for number in range(2)
    ]
    written = [int(line) for process in running for line in process.communicate(timeout=60)[0].split()]
    assert [process.returncode for process in running] == [0, 0]
    assert sorted(written) == list(range(40))
    assert verify_store(store).entries == 40


def write_many(url: str, directory: str, name: str) -> None:
    """What each of the processes above does."""
    mine = open_store(url, Path(directory), StandingClock())
    print(*(mine.write(put(name, str(number))) for number in range(20)))
    mine.close()
