"""What a store promises, held on SQLite and on PostgreSQL by the same tests."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import Actor, Event, ObjectRef, parse_entry
from swarmsec.errors import AlreadyExists, Changed, Denied, NotFound, Unavailable, UsageProblem
from swarmsec.services.ports import Refusal, Transaction
from swarmsec.services.records import (
    AuthorityRecord,
    CertificateRecord,
    CertificateStatus,
    Intent,
    KeyTermRow,
    PolicyRecord,
    SealedRow,
    SealRow,
    SwarmRoot,
    TokenRecord,
)
from swarmsec.services.requester import SERVICE, Requester
from swarmsec.storage.anchor import AnchorFile
from swarmsec.storage.checking import verify_store
from swarmsec.storage.database import open_engine, parse_url, sqlite_path
from swarmsec.storage.log import LogHead
from swarmsec.storage.store import Store
from swarmsec.storage.tables import audit_entries, settings
from swarmsec.storage.transaction import UnloggedChange
from tests.integration.clocks import StandingClock


@dataclass(slots=True, kw_only=True)
class Database:
    """An empty database and the stores that a test opens on it."""

    url: str
    directory: Path
    clock: StandingClock = field(default_factory=StandingClock)
    stores: list[Store] = field(default_factory=list)

    def open(self) -> Store:
        store = open_store(self.url, self.directory, self.clock)
        self.stores.append(store)
        return store


def open_store(url: str, directory: Path, clock: StandingClock) -> Store:
    parsed = parse_url(url, directory)
    return Store(open_engine(parsed), clock, directory / "writer" if sqlite_path(parsed) else None)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    url = "sqlite:///state.db" if request.param == "sqlite" else request.getfixturevalue("database_url")
    made = Database(url=url, directory=tmp_path)
    yield made
    for store in made.stores:
        store.anchor = None
        store.close()


@pytest.fixture
def store(database: Database) -> Store:
    opened = database.open()
    opened.migrate()
    return opened


def event(text: str = "", *, outcome: Outcome = Outcome.SUCCESS, **fields: str) -> Event:
    target = ObjectRef(type="test", id="object")
    return SERVICE.event(Action.POLICY_APPLY, target, outcome=outcome, reason=text, fields=fields)


def put(name: str, value: str) -> Callable[[Transaction], int]:
    """A unit that sets one setting and logs it."""

    def unit(transaction: Transaction) -> int:
        transaction.settings.put(name, value)
        return transaction.log(event(f"{name}={value}"))

    return unit


def value_of(store: Store, name: str) -> str | None:
    return store.read(lambda transaction: transaction.settings.get(name))


def entries(store: Store) -> list[dict[str, Any]]:
    with store.reading() as transaction:
        rows = transaction.connection.execute(audit_entries.select().order_by(audit_entries.c.seq)).all()
    return [parse_entry(row.data) for row in rows]


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


# Leases and intents


def take(store: Store, holder: str, seconds: int = 10) -> int | None:
    return store.write(lambda transaction: transaction.leases.take("work", holder, seconds))


def test_a_lease_is_held_renewed_lost_and_fences_off_its_former_holder(database: Database, store: Store) -> None:
    assert take(store, "one") == 1
    assert take(store, "two") is None
    database.clock.seconds += 9
    assert take(store, "one") == 1
    database.clock.seconds += 9
    assert take(store, "two") is None
    store.write(lambda transaction: transaction.leases.verify("work", 1))
    database.clock.seconds += 1
    with pytest.raises(Changed):
        store.write(lambda transaction: transaction.leases.verify("work", 1))
    assert take(store, "two") == 2
    with pytest.raises(Changed):
        store.write(lambda transaction: transaction.leases.verify("work", 1))
    store.write(lambda transaction: transaction.leases.release("work", 1))
    assert take(store, "one") is None
    store.write(lambda transaction: transaction.leases.release("work", 2))
    assert take(store, "one") == 3


def test_a_lease_that_ran_out_is_a_new_one_even_for_its_holder(database: Database, store: Store) -> None:
    assert take(store, "one") == 1
    database.clock.seconds += 11
    assert take(store, "one") == 2


def test_a_write_under_a_lost_lease_keeps_nothing(database: Database, store: Store) -> None:
    take(store, "one")
    database.clock.seconds += 11
    take(store, "two")

    def late(transaction: Transaction) -> None:
        put("name", "late")(transaction)
        transaction.leases.verify("work", 1)

    with pytest.raises(Changed):
        store.write(late)
    assert value_of(store, "name") is None


def test_an_intent_stays_until_its_outcome_and_is_concluded_once(database: Database, store: Store) -> None:
    later = Intent(request_id="b", action="test", started=2, data="{}")
    sooner = Intent(request_id="z", action="test", started=1, data='{"k":1}')

    def begin(transaction: Transaction) -> None:
        transaction.intents.open(later)
        transaction.intents.open(sooner)
        transaction.log(event(outcome=Outcome.INTENT))

    def conclude(transaction: Transaction) -> Intent:
        found = transaction.intents.close("z")
        transaction.log(event())
        return found

    store.write(begin)
    assert database.open().read(lambda transaction: list(transaction.intents.all())) == [sooner, later]
    assert store.write(conclude) == sooner
    with pytest.raises(NotFound):
        store.write(conclude)
    assert store.read(lambda transaction: list(transaction.intents.all())) == [later]
    assert verify_store(store).rows == 1


# The anchor


def test_the_anchor_moves_at_most_once_a_second_and_at_the_end(database: Database, store: Store) -> None:
    anchor = AnchorFile(database.directory / "state" / "anchor", "store")
    store.anchor = anchor

    def size() -> int:
        known = anchor.read()
        return known.size if known else 0

    store.write(put("name", "0"))
    assert size() == 1
    for number in range(3):
        store.write(put("name", str(number)))
    assert size() == 1
    database.clock.seconds += 0.9
    store.write(put("name", "x"))
    assert size() == 1
    database.clock.seconds += 0.2
    store.write(put("name", "y"))
    assert size() == 6
    store.write(put("name", "z"))
    store.close()
    assert anchor.read() == database.open().head()


def test_without_its_anchor_what_is_committed_is_answered_and_nothing_more_is_written(
    database: Database, store: Store
) -> None:
    blocked = database.directory / "blocked"
    blocked.write_text("a file where a directory should be")
    store.anchor = AnchorFile(blocked / "anchor", "store")
    assert store.write(put("name", "answered")) == 0
    with pytest.raises(Unavailable, match="anchor"):
        store.write(put("name", "refused"))
    assert value_of(store, "name") == "answered"
    blocked.unlink()
    assert store.write(put("name", "again")) == 1


def test_an_anchor_never_moves_back(tmp_path: Path) -> None:
    anchor = AnchorFile(tmp_path / "anchor", "store")
    newer, older = (LogHead(size=size, last_hash=bytes([size]) * 32) for size in (7, 6))
    anchor.advance(newer)
    anchor.advance(older)
    assert anchor.read() == newer
    anchor.replace(older)
    assert anchor.read() == older


# Records


def certificate(number: int) -> CertificateRecord:
    return CertificateRecord(
        id=number,
        serial=f"{number:x}",
        generation=1,
        profile="swarm-worker",
        role="node:n1",
        subject_id="n1",
        cluster_id="c1",
        spki_sha256=b"k" * 32,
        sha256=bytes([number]) * 32,
        der=b"\x00\xff der",
        not_before=1,
        not_after=2**40,
        status=CertificateStatus.VALID,
        revoked=0,
    )


def test_records_of_every_kind_come_back_as_they_were_put(store: Store) -> None:
    authority = AuthorityRecord(generation=1, certificate=b"\x30\x00", key_name="ca/root/1", state="active", created=5)
    token = TokenRecord(token_id="t", role="worker", kind="standing", state="active", created=5)
    root = SwarmRoot(sha256="aa", pem=b"PEM", cluster_id="c", added=5)
    sealed = SealedRow(name="a/b%", version=1, created=5, term=1, wrapped_key=b"\0w", body=b"")
    term = KeyTermRow(term=1, state="active", wrapped_key=b"w", body=b"b", created=5)
    seal = SealRow(seal_id="s", kind="file", params="{}", wrapped_root=b"r" * 60, created=5)
    policy = PolicyRecord(
        kind="k", name="é/n", version=1, document_sha256="d", document='{"a":"é"}', state="active", applied=5
    )

    def fill(transaction: Transaction) -> None:
        transaction.authorities.add(authority)
        transaction.certificates.add(certificate(1))
        transaction.certificates.add(certificate(2))
        transaction.tokens.add(token)
        transaction.swarm_roots.add(root)
        assert transaction.swarm_roots.note_node("aa", "n1", 5)
        assert not transaction.swarm_roots.note_node("aa", "n1", 6)
        transaction.sealed.put(sealed)
        transaction.key_terms.add(term)
        transaction.seals.add(seal)
        transaction.policies.add(policy)
        transaction.log(event())

    def check(transaction: Transaction) -> None:
        assert transaction.authorities.active() == authority
        assert list(transaction.authorities.all()) == [authority]
        both = [certificate(1), certificate(2)]
        assert list(transaction.certificates.all()) == both
        assert list(transaction.certificates.by_subject("n1")) == both
        assert list(transaction.certificates.by_public_key(b"k" * 32)) == both
        assert list(transaction.certificates.by_serial("2")) == both[1:]
        assert transaction.certificates.by_sha256(b"\x02" * 32) == both[1]
        assert transaction.certificates.next_id() == 3
        assert transaction.tokens.standing("worker") == token
        assert list(transaction.tokens.all()) == [token]
        assert list(transaction.swarm_roots.all()) == [root]
        assert list(transaction.swarm_roots.nodes("aa")) == ["n1"]
        assert transaction.sealed.get("a/b%") == sealed
        assert (transaction.sealed.count_under(1), transaction.sealed.count_under(2)) == (1, 0)
        assert list(transaction.sealed.not_under(2, 10)) == [sealed]
        assert list(transaction.key_terms.all()) == [term]
        assert list(transaction.seals.all()) == [seal]
        assert list(transaction.policies.active()) == [policy]
        assert list(transaction.policies.versions("k", "é/n")) == [policy]

    store.write(fill)
    store.read(check)
    assert verify_store(store).rows == 10


def test_a_unit_reads_what_it_wrote_itself(store: Store) -> None:
    def unit(transaction: Transaction) -> None:
        for number in (1, 2):
            assert transaction.certificates.next_id() == number
            transaction.certificates.add(certificate(number))
        assert [found.id for found in transaction.certificates.by_subject("n1")] == [1, 2]
        transaction.certificates.change_status(certificate(1), status=CertificateStatus.REVOKED, revoked=9)
        assert [found.revoked for found in transaction.certificates.all()] == [9, 0]
        transaction.settings.put("name", "first")
        transaction.settings.put("name", "second")
        assert transaction.settings.get("name") == "second"
        transaction.intents.open(Intent(request_id="r", action="a", started=1, data="{}"))
        assert transaction.intents.close("r").action == "a"
        assert list(transaction.intents.all()) == []
        transaction.sealed.put(SealedRow(name="n", version=1, created=5, term=1, wrapped_key=b"w", body=b"b"))
        assert transaction.sealed.count_under(1) == 1
        assert transaction.leases.take("work", "me", 10) == 1
        assert transaction.leases.take("work", "you", 10) is None
        transaction.log(event())

    store.write(unit)
    assert verify_store(store).rows == 5


def test_units_of_a_group_read_what_those_before_them_wrote(store: Store) -> None:
    def issue(transaction: Transaction) -> int:
        number = transaction.certificates.next_id()
        transaction.certificates.add(certificate(number))
        transaction.log(event())
        return number

    def refused(transaction: Transaction) -> None:
        issue(transaction)
        raise Refusal(Denied("no"), event("refused", outcome=Outcome.DENIED))

    outcomes = store.write_group([issue, refused, issue, issue])
    assert [outcome.value for outcome in outcomes] == [1, None, 2, 3]
    assert [found.id for found in store.read(lambda transaction: list(transaction.certificates.all()))] == [1, 2, 3]
    assert verify_store(store).rows == 3


def test_records_that_end_are_no_longer_what_counts(store: Store) -> None:
    root = SwarmRoot(sha256="aa", pem=b"PEM", cluster_id="c", added=5)
    token = TokenRecord(token_id="t", role="worker", kind="standing", state="active", created=5)
    policy = PolicyRecord(kind="k", name="n", version=1, document_sha256="d", document="{}", state="active", applied=5)
    sealed = SealedRow(name="n", version=1, created=5, term=1, wrapped_key=b"w", body=b"b")
    term = KeyTermRow(term=1, state="active", wrapped_key=b"w", body=b"b", created=5)
    seal = SealRow(seal_id="s", kind="file", params="{}", wrapped_root=b"r", created=5)

    def fill(transaction: Transaction) -> None:
        transaction.certificates.add(certificate(1))
        transaction.swarm_roots.add(root)
        transaction.swarm_roots.note_node("aa", "n1", 5)
        transaction.tokens.add(token)
        transaction.policies.add(policy)
        transaction.sealed.put(sealed)
        transaction.key_terms.add(term)
        transaction.seals.add(seal)
        transaction.log(event())

    def end(transaction: Transaction) -> None:
        transaction.certificates.change_status(certificate(1), status=CertificateStatus.REVOKED, revoked=9)
        transaction.swarm_roots.remove("aa")
        transaction.tokens.retire(token)
        transaction.policies.retire(policy)
        transaction.sealed.put(replace(sealed, version=2, body=b"new"))
        transaction.key_terms.change(replace(term, state="destroyed", wrapped_key=b"", body=b""))
        transaction.seals.remove("s")
        transaction.log(event())

    def check(transaction: Transaction) -> None:
        (ended,) = transaction.certificates.all()
        assert ended == replace(certificate(1), status=CertificateStatus.REVOKED, revoked=9)
        assert list(transaction.swarm_roots.all()) == []
        assert list(transaction.swarm_roots.nodes("aa")) == []
        assert transaction.tokens.standing("worker") is None
        assert list(transaction.policies.active()) == []
        assert [found.state for found in transaction.policies.versions("k", "n")] == ["retired"]
        assert transaction.sealed.get("n") == replace(sealed, version=2, body=b"new")
        assert [found.state for found in transaction.key_terms.all()] == ["destroyed"]
        assert list(transaction.seals.all()) == []

    store.write(fill)
    store.write(end)
    store.read(check)
    assert verify_store(store).rows == 5
