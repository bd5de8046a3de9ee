"""Issuing: once per key and identity, one identity per key, former certificates retired, revoked keys refused."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ca.identity import NodeRole
from swarmsec.errors import Denied
from swarmsec.services.ca.revoke_certificates import revoke_certificates
from swarmsec.storage.checking import verify_store
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk, new_key

WORKER, MANAGER = NodeRole.WORKER, NodeRole.MANAGER


def _revoke(desk: Desk, target: str) -> None:
    desk.home.store.write(lambda transaction: revoke_certificates(transaction, target, OPERATOR))


def test_the_same_key_and_identity_get_the_same_certificate(desk: Desk) -> None:
    key = new_key()

    first, again = desk.issue(WORKER, "n1", key), desk.issue(WORKER, "n1", key)

    assert again == first
    assert desk.states() == {first.serial: "valid"}


def test_an_expired_certificate_is_not_given_again(desk: Desk) -> None:
    key = new_key()
    first = desk.issue(WORKER, "n1", key)
    desk.move_clock(timedelta(days=91))

    assert desk.issue(WORKER, "n1", key).serial != first.serial


def test_a_new_key_supersedes_the_former(desk: Desk) -> None:
    first, second = desk.issue(WORKER, "n1", new_key()), desk.issue(WORKER, "n1", new_key())

    assert desk.states() == {first.serial: "superseded", second.serial: "valid"}


@pytest.mark.parametrize(("former", "present"), [(MANAGER, WORKER), (WORKER, MANAGER)])
def test_a_change_of_role_revokes_what_gave_the_former(former: NodeRole, present: NodeRole, desk: Desk) -> None:
    first = desk.issue(former, "n1", new_key())

    second = desk.issue(present, "n1", new_key())

    assert desk.states() == {first.serial: "revoked", second.serial: "valid"}
    assert desk.last_entry()["fields"]["revoked"] == 1


def test_a_key_serves_one_identity(desk: Desk) -> None:
    key = new_key()
    first = desk.issue(WORKER, "n1", key)

    with pytest.raises(Denied, match="another identity"):
        desk.issue(WORKER, "n2", key)

    assert desk.states() == {first.serial: "valid"}
    assert desk.last_entry()["outcome"] == "denied"


def test_a_revoked_key_is_refused_for_good(desk: Desk) -> None:
    key = new_key()
    desk.issue(WORKER, "n1", key)
    _revoke(desk, "n1")

    with pytest.raises(Denied, match="revoked"):
        desk.issue(WORKER, "n1", key)
    with pytest.raises(Denied, match="revoked"):
        desk.issue(MANAGER, "n1", key)
    with pytest.raises(Denied):
        desk.issue(WORKER, "n2", key)

    assert desk.issue(WORKER, "n1", new_key()).subject_id == "n1"


def test_a_key_that_changed_its_role_is_no_revoked_one(desk: Desk) -> None:
    key = new_key()
    desk.issue(MANAGER, "n1", key)
    worker = desk.issue(WORKER, "n1", key)

    assert desk.issue(WORKER, "n1", key) == worker


def test_all_of_it_stands_in_the_log(desk: Desk) -> None:
    desk.issue(MANAGER, "n1", new_key())
    desk.issue(WORKER, "n1", new_key())
    _revoke(desk, "n1")

    assert verify_store(desk.home.store).entries > 0


def test_a_role_that_was_taken_is_taken_from_superseded_certificates_too(desk: Desk) -> None:
    first, second = (desk.issue(MANAGER, "n1", new_key()) for _ in range(2))
    assert desk.states() == {first.serial: "superseded", second.serial: "valid"}

    worker = desk.issue(WORKER, "n1", new_key())

    assert desk.states() == {first.serial: "revoked", second.serial: "revoked", worker.serial: "valid"}
    assert desk.last_entry()["fields"]["revoked"] == 2


def test_certificates_that_have_expired_are_not_revoked_for_a_new_role(desk: Desk) -> None:
    former = desk.issue(MANAGER, "n1", new_key())
    desk.move_clock(timedelta(days=91))

    desk.issue(WORKER, "n1", new_key())

    assert desk.states()[former.serial] == "valid"
