"""The revocation list: what it names, when it is made anew, and that its number only rises."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import partial

import pytest
from cryptography.x509 import Certificate

from ca.identity import NodeRole
from ca.revocation import Reason, RevocationList, verify_revocation_list
from ca.rotation import Phase
from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import unix_seconds
from swarmsec.errors import IntegrityFailure, NotFound
from swarmsec.services.ca.list_certificates import list_certificates
from swarmsec.services.ca.publish_revocations import (
    PublishedList,
    current_list,
    find_root,
    listed_roots,
    public_root,
    publish_list,
)
from swarmsec.services.ca.revocation_lists import LIFE_SECONDS, SETTING, load_list_states
from swarmsec.services.ca.revoke_certificates import revoke_certificates
from swarmsec.services.ports import Transaction
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk, new_key
from tests.unit.swarmsec.services.rotation.rotating import bring_to, enrol


def publish(desk: Desk) -> PublishedList:
    return desk.home.store.write(
        lambda transaction: publish_list(transaction, desk.keys, public_root(transaction), OPERATOR)
    )


def publish_all(desk: Desk) -> list[PublishedList]:
    return desk.home.store.write(
        lambda transaction: [publish_list(transaction, desk.keys, root, OPERATOR) for root in listed_roots(transaction)]
    )


def last_list_of(desk: Desk, root_sha256: str) -> PublishedList | None:
    return desk.home.store.read(
        lambda transaction: current_list(transaction, desk.keys, find_root(transaction, root_sha256))
    )


def content(desk: Desk, published: PublishedList, root: Certificate | None = None) -> RevocationList:
    return verify_revocation_list(published.der, authority=root or desk.authority.issuer.certificate)


def serials(desk: Desk, published: PublishedList, root: Certificate | None = None) -> list[str]:
    return [f"{entry.serial:x}" for entry in content(desk, published, root).entries]


def revoked_node(desk: Desk, name: str) -> str:
    serial = desk.issue(NodeRole.WORKER, name, new_key()).serial
    desk.home.store.write(lambda transaction: revoke_certificates(transaction, serial, OPERATOR))
    return serial


def entries(desk: Desk) -> int:
    return desk.home.store.head().size


def test_it_names_what_is_revoked_and_nothing_else(desk: Desk) -> None:
    desk.issue(NodeRole.WORKER, "n1", new_key())
    gone = sorted((revoked_node(desk, "n2"), revoked_node(desk, "n3")))
    published = publish(desk)
    assert serials(desk, published) == gone
    found = content(desk, published)
    assert (found.number, published.count) == (published.number, 2)
    assert found.validity.not_after - found.validity.not_before == timedelta(days=7)
    entry = desk.last_entry()
    assert (entry["action"], entry["fields"]["number"], entry["fields"]["revoked"]) == ("ca.crl", found.number, 2)


def test_while_nothing_changes_the_list_stays_and_nothing_is_written(desk: Desk) -> None:
    revoked_node(desk, "n1")
    first, size = publish(desk), entries(desk)
    second = publish(desk)
    assert content(desk, second) == content(desk, first)
    third = desk.home.store.read(lambda transaction: current_list(transaction, desk.keys, public_root(transaction)))
    assert third is not None
    assert content(desk, third) == content(desk, first)
    desk.issue(NodeRole.WORKER, "n2", new_key())
    assert publish(desk).state == first.state
    assert entries(desk) == size + 1


def test_a_revocation_makes_a_new_list_even_within_a_second(desk: Desk) -> None:
    numbers = [publish(desk).number]
    for name in ("n1", "n2", "n3"):
        serial = revoked_node(desk, name)
        published = publish(desk)
        assert serial in serials(desk, published)
        numbers.append(published.number)
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize(("later", "is_new"), [(LIFE_SECONDS // 2 - 60, False), (LIFE_SECONDS // 2 + 1, True)])
def test_half_of_its_life_makes_a_new_list(desk: Desk, later: int, is_new: bool) -> None:
    first = publish(desk)
    desk.move_clock(timedelta(seconds=later))
    second = publish(desk)
    assert (second.number > first.number) == is_new
    assert (second.state != first.state) == is_new


def test_a_clock_that_was_set_back_makes_a_new_list_with_a_higher_number(desk: Desk) -> None:
    desk.move_clock(timedelta(days=30))
    first = publish(desk)
    desk.move_clock(timedelta())
    second = publish(desk)
    assert second.number > first.number
    assert second.this_update < first.this_update


def test_an_expired_certificate_is_on_one_more_list_and_then_gone(desk: Desk) -> None:
    serial = revoked_node(desk, "n1")
    assert serials(desk, publish(desk)) == [serial]
    desk.move_clock(timedelta(days=91))
    assert serials(desk, publish(desk)) == [serial]
    desk.move_clock(timedelta(days=96))
    assert serials(desk, publish(desk)) == []


def test_a_home_from_a_backup_goes_on_above_the_numbers_that_it_lost(desk: Desk) -> None:
    def lose(transaction: Transaction) -> None:
        transaction.settings.put(SETTING, kept)
        transaction.log(OPERATOR.event(Action.BACKUP_RESTORE, ObjectRef(type="home")))

    publish(desk)
    kept = desk.home.store.read(lambda transaction: transaction.settings.get(SETTING)) or ""
    revoked_node(desk, "n1")
    desk.move_clock(timedelta(seconds=5))
    lost = publish(desk)
    desk.home.store.write(lose)
    desk.move_clock(timedelta(seconds=10))
    revoked_node(desk, "n2")
    assert publish(desk).number > lost.number


def test_what_was_kept_of_the_only_list_before_there_could_be_two_counts_on(desk: Desk) -> None:
    first = publish(desk)
    kept = json.loads(desk.home.store.read(lambda transaction: transaction.settings.get(SETTING)) or "")

    def write_as_before(transaction: Transaction) -> None:
        transaction.settings.put(SETTING, json.dumps(kept["lists"][0]))
        transaction.log(OPERATOR.event(Action.CA_CRL, ObjectRef(type="revocation-list")))

    desk.home.store.write(write_as_before)
    assert publish(desk).state == first.state
    revoked_node(desk, "n1")
    assert publish(desk).number > first.number


def test_two_roots_have_a_list_each_and_the_numbers_of_both_rise_together(desk: Desk) -> None:
    serial = revoked_node(desk, "gone")
    node = enrol(desk, "a")
    before = publish(desk)
    bring_to(desk, Phase.CONVERGING, [node])
    newer = desk.write(lambda _, authority: authority.issuer.certificate)
    old, new = publish_all(desk)
    assert old.root_sha256 == before.root_sha256
    assert (serials(desk, old, desk.authority.public), serials(desk, new, newer)) == ([serial], [])
    assert new.number > old.number == before.number

    desk.home.store.write(lambda transaction: revoke_certificates(transaction, "a", OPERATOR))
    later_old, later_new = publish_all(desk)
    numbers = [before.number, new.number, later_old.number, later_new.number]
    assert numbers == sorted(set(numbers))
    assert serial in serials(desk, later_old, desk.authority.public)
    assert len(serials(desk, later_new, newer)) == 1
    assert [each.number for each in publish_all(desk)] == [later_old.number, later_new.number]


def test_a_root_that_was_given_up_keeps_its_last_list_and_its_number_is_never_given_out_again(desk: Desk) -> None:
    node = enrol(desk, "a")
    former, old = publish(desk), desk.authority.public
    bring_to(desk, Phase.RETIRED, [node])
    last = last_list_of(desk, former.root_sha256)
    assert last is not None
    assert (last.state, last.is_due(last.next_update + 1)) == (None, False)
    assert last.number > former.number
    assert verify_revocation_list(last.der, authority=old).number == last.number
    assert last_list_of(desk, former.root_sha256) == last
    assert publish(desk).number > last.number
    assert [root.generation for root in desk.home.store.read(listed_roots)] == [2]


def test_a_root_that_never_was_has_no_list(desk: Desk) -> None:
    with pytest.raises(NotFound, match="no root with SHA-256"):
        last_list_of(desk, "0" * 64)


def test_reasons_are_on_the_list_and_none_where_none_was_given(desk: Desk) -> None:
    wanted = {}
    for number, reason in enumerate(Reason):
        serial = desk.issue(NodeRole.WORKER, f"n{number}", new_key()).serial
        desk.home.store.write(partial(revoke_certificates, target=serial, requester=OPERATOR, why=reason))
        assert desk.last_entry()["fields"]["crl_reason"] == reason.word
        wanted[int(serial, 16)] = reason
    found = {entry.serial: entry.reason for entry in content(desk, publish(desk)).entries}
    assert found == wanted


def test_a_revocation_from_before_reasons_were_kept_says_none(desk: Desk) -> None:
    record = desk.issue(NodeRole.WORKER, "n1", new_key())

    def revoke_as_before(transaction: Transaction) -> None:
        transaction.certificates.change_status(record, status="revoked", revoked=unix_seconds(transaction.clock))
        transaction.log(OPERATOR.event(Action.CA_REVOKE, ObjectRef(type="certificate", id=record.serial)))

    desk.home.store.write(revoke_as_before)
    assert [entry.reason for entry in content(desk, publish(desk)).entries] == [Reason.UNSPECIFIED]
    assert [item.reason for item in desk.home.store.read(lambda t: list(list_certificates(t)))] == ["unspecified"]


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "[]", "{", "null", '{"number": 1, "more": 2}', '{"lists": []}', '{"lists": 1, "number": 1}'),
        *('{"lists": [{}], "number": 1}', '{"lists": [], "number": "1"}', '{"lists": [], "number": 1, "more": 2}'),
    ],
)
def test_a_state_that_nobody_writes_is_refused(desk: Desk, text: str) -> None:
    def break_it(transaction: Transaction) -> None:
        transaction.settings.put(SETTING, text)
        transaction.log(OPERATOR.event(Action.CA_CRL, ObjectRef(type="revocation-list")))

    desk.home.store.write(break_it)
    with pytest.raises(IntegrityFailure, match="states of revocation lists"):
        desk.home.store.read(load_list_states)


def test_the_first_number_is_not_below_the_clock(desk: Desk) -> None:
    assert desk.home.store.read(load_list_states).number == 0
    before = unix_seconds(desk.home.clock)
    assert publish(desk).number >= before
