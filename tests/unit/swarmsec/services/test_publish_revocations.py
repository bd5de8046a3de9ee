"""The revocation list: what it names, when it is made anew, and that its number only rises."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ca.identity import NodeRole
from ca.revocation import RevocationList, verify_revocation_list
from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import unix_seconds
from swarmsec.errors import IntegrityFailure
from swarmsec.services.ports import Transaction
from swarmsec.services.publish_revocations import (
    LIFE_SECONDS,
    SETTING,
    PublishedList,
    current_list,
    load_list_state,
    publish_list,
)
from swarmsec.services.revoke_certificates import revoke_certificates
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk, new_key


def publish(desk: Desk) -> PublishedList:
    return desk.write(lambda transaction, authority: publish_list(transaction, authority, OPERATOR))


def content(desk: Desk, published: PublishedList) -> RevocationList:
    return verify_revocation_list(published.der, authority=desk.authority.issuer.certificate)


def serials(desk: Desk, published: PublishedList) -> list[str]:
    return [f"{entry.serial:x}" for entry in content(desk, published).entries]


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
    assert (found.number, published.count) == (published.state.number, 2)
    assert found.validity.not_after - found.validity.not_before == timedelta(days=7)
    entry = desk.last_entry()
    assert (entry["action"], entry["fields"]["number"], entry["fields"]["revoked"]) == ("ca.crl", found.number, 2)


def test_while_nothing_changes_the_list_stays_and_nothing_is_written(desk: Desk) -> None:
    revoked_node(desk, "n1")
    first, size = publish(desk), entries(desk)
    second = publish(desk)
    assert content(desk, second) == content(desk, first)
    third = desk.home.store.read(lambda transaction: current_list(transaction, desk.authority_in(transaction)))
    assert third is not None
    assert content(desk, third) == content(desk, first)
    desk.issue(NodeRole.WORKER, "n2", new_key())
    assert publish(desk).state == first.state
    assert entries(desk) == size + 1


def test_a_revocation_makes_a_new_list_even_within_a_second(desk: Desk) -> None:
    numbers = [publish(desk).state.number]
    for name in ("n1", "n2", "n3"):
        serial = revoked_node(desk, name)
        published = publish(desk)
        assert serial in serials(desk, published)
        numbers.append(published.state.number)
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize(("later", "is_new"), [(LIFE_SECONDS // 2 - 60, False), (LIFE_SECONDS // 2 + 1, True)])
def test_half_of_its_life_makes_a_new_list(desk: Desk, later: int, is_new: bool) -> None:
    first = publish(desk)
    desk.move_clock(timedelta(seconds=later))
    second = publish(desk)
    assert (second.state.number > first.state.number) == is_new
    assert (second.state != first.state) == is_new


def test_a_clock_that_was_set_back_makes_a_new_list_with_a_higher_number(desk: Desk) -> None:
    desk.move_clock(timedelta(days=30))
    first = publish(desk)
    desk.move_clock(timedelta())
    second = publish(desk)
    assert second.state.number > first.state.number
    assert second.state.this_update < first.state.this_update


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
    assert publish(desk).state.number > lost.state.number


def test_lists_of_a_former_root_end_with_it(desk: Desk) -> None:
    first = publish(desk)
    text = desk.home.store.read(lambda transaction: transaction.settings.get(SETTING)) or ""

    def age(transaction: Transaction) -> None:
        transaction.settings.put(SETTING, text.replace('"generation": 1', '"generation": 0'))
        transaction.log(OPERATOR.event(Action.CA_CRL, ObjectRef(type="revocation-list")))

    desk.home.store.write(age)
    second = publish(desk)
    assert second.state.number > first.state.number
    assert (second.state.generation, second.state.previous_update) == (1, None)


@pytest.mark.parametrize("text", ["", "{}", "[]", "{", '{"number": 1, "more": 2}', "null"])
def test_a_state_that_nobody_writes_is_refused(desk: Desk, text: str) -> None:
    def break_it(transaction: Transaction) -> None:
        transaction.settings.put(SETTING, text)
        transaction.log(OPERATOR.event(Action.CA_CRL, ObjectRef(type="revocation-list")))

    desk.home.store.write(break_it)
    with pytest.raises(IntegrityFailure, match="state of a revocation list"):
        desk.home.store.read(load_list_state)


def test_the_first_number_is_not_below_the_clock(desk: Desk) -> None:
    assert desk.home.store.read(load_list_state) is None
    before = unix_seconds(desk.home.clock)
    assert publish(desk).state.number >= before
