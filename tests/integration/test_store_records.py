"""What a store promises, held on SQLite and on PostgreSQL by the same tests: records, leases, intents, the anchor."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from swarmsec.audit.actions import Outcome
from swarmsec.errors import Changed, Denied, NotFound, Unavailable
from swarmsec.services.ports import Refusal, Transaction
from swarmsec.services.records import (
    AuthorityRecord,
    CertificateRecord,
    CertificateStatus,
    Intent,
    KeyTermRow,
    Lease,
    LimitedToken,
    PolicyRecord,
    SealedRow,
    SealRow,
    SwarmRoot,
    TokenRecord,
)
from swarmsec.storage.anchor import AnchorFile
from swarmsec.storage.checking import verify_store
from swarmsec.storage.log import LogHead
from swarmsec.storage.store import Store
from tests.integration.storecontract import (
    Database,
    database,
    event,
    put,
    store,
    value_of,
)

__all__ = ["database", "store"]


# Leases and intents


def take(store: Store, holder: str, seconds: int = 10) -> int | None:
    return store.write(lambda transaction: transaction.leases.take("work", holder, seconds))


def found(store: Store) -> Lease | None:
    return store.read(lambda transaction: transaction.leases.find("work"))


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
    assert found(store) == Lease(holder="two", fence=2, expires=0)
    assert take(store, "one") == 3
    assert found(store) == Lease(holder="one", fence=3, expires=int(database.clock.seconds) + 10)


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
        transaction.certificates.add(certificate(3))
        transaction.certificates.change_status(certificate(3), status=CertificateStatus.REVOKED, revoked=7)
        transaction.log(event())

    def check(transaction: Transaction) -> None:
        assert transaction.authorities.active() == authority
        assert list(transaction.authorities.all()) == [authority]
        revoked = replace(certificate(3), status=CertificateStatus.REVOKED, revoked=7)
        every = [certificate(1), certificate(2), revoked]
        assert list(transaction.certificates.all()) == every
        assert list(transaction.certificates.by_subject("n1")) == every
        assert list(transaction.certificates.by_public_key(b"k" * 32)) == every
        assert list(transaction.certificates.by_serial("2")) == [certificate(2)]
        assert list(transaction.certificates.revoked()) == [revoked]
        assert transaction.certificates.by_sha256(b"\x02" * 32) == certificate(2)
        assert transaction.certificates.next_id() == 4
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
    assert verify_store(store).rows == 11


def test_what_has_not_ended_is_found_by_its_root_and_without_some_profiles(store: Store) -> None:
    served = replace(certificate(4), profile="server", generation=2)
    ended = replace(certificate(5), not_after=7)

    def fill(transaction: Transaction) -> None:
        for record in (certificate(1), replace(certificate(2), generation=2), served, ended):
            transaction.certificates.add(record)
        transaction.log(event())

    def check(transaction: Transaction) -> None:
        unexpired = transaction.certificates.unexpired
        assert [found.id for found in unexpired(6)] == [1, 2, 4, 5]
        assert [found.id for found in unexpired(7)] == [1, 2, 4]
        assert [found.id for found in unexpired(7, generation=2)] == [2, 4]
        assert list(unexpired(7, besides=["swarm-worker", "swarm-manager"])) == [served]
        assert list(unexpired(7, generation=1, besides=["swarm-worker"])) == []

    store.write(fill)
    store.read(check)


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


def test_limited_tokens_come_back_by_id_and_fingerprint_and_change(store: Store) -> None:
    token = LimitedToken(
        token_id="t",
        fingerprint=b"\0f" * 16,
        role="worker",
        node_name="",
        state="active",
        uses=2,
        uses_left=2,
        created=5,
        expires=2**40,
    )
    spent = replace(token, uses_left=1, redeemed_by=b"k" * 32)

    def fill(transaction: Transaction) -> None:
        transaction.limited_tokens.add(token)
        assert transaction.limited_tokens.by_fingerprint(token.fingerprint) == token
        transaction.limited_tokens.change(spent)
        transaction.log(event())

    def check(transaction: Transaction) -> None:
        assert transaction.limited_tokens.by_id("t") == spent
        assert transaction.limited_tokens.by_fingerprint(token.fingerprint) == spent
        assert list(transaction.limited_tokens.all()) == [spent]
        assert transaction.limited_tokens.by_id("u") is None
        assert transaction.limited_tokens.by_fingerprint(b"") is None

    def change_unknown(transaction: Transaction) -> None:
        transaction.limited_tokens.change(replace(token, token_id="u"))

    store.write(fill)
    store.read(check)
    with pytest.raises(NotFound):
        store.write(change_unknown)
    assert verify_store(store).rows == 1
