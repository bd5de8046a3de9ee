"""A token with limits counts for its role, its node and its number of uses, and then no longer."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ca.identity import NodeRole
from ca.tokens import JoinToken
from swarmsec.errors import Denied
from swarmsec.services.ca.revoke_certificates import revoke_certificates
from swarmsec.services.nodes.join_node import JoinRequest, join_node
from swarmsec.services.nodes.limited_tokens import TokenRole, list_limited_tokens, revoke_limited_token
from swarmsec.services.records import CertificateRecord
from swarmsec.storage.checking import verify_store
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk, new_key, request_of
from tests.unit.swarmsec.services.nodes.test_limited_tokens import QUARTER, create


def join(
    desk: Desk, token: str, name: str | None = None, key: ec.EllipticCurvePrivateKey | None = None
) -> CertificateRecord:
    wanted = JoinRequest(token=token, signing_request=request_of(key or new_key()), node_name=name)
    record = desk.write(lambda transaction, authority: join_node(transaction, desk.keys, authority, wanted, OPERATOR))
    assert isinstance(record, CertificateRecord)
    return record


def uses_left(desk: Desk) -> list[object]:
    return [item["uses_left"] for item in desk.home.store.read(list_limited_tokens)]


@pytest.mark.parametrize(
    ("role", "profile"), [(TokenRole.WORKER, "swarm-worker"), (TokenRole.MANAGER, "swarm-manager")]
)
def test_the_token_decides_the_role_and_is_used_up(role: TokenRole, profile: str, desk: Desk) -> None:
    made, text = create(desk, role)

    record = join(desk, text)

    assert record.profile == profile
    assert uses_left(desk) == [0]
    entry = desk.last_entry()
    assert (entry["action"], entry["outcome"], entry["object"]["id"]) == ("ca.token-redeem", "success", made.token_id)
    assert entry["fields"] == {"serial": record.serial, "uses_left": 0}
    with pytest.raises(Denied, match="the token is used up"):
        join(desk, text)
    assert len(desk.states()) == 1
    verify_store(desk.home.store)


def test_each_node_takes_one_use(desk: Desk) -> None:
    _, text = create(desk, uses=2)

    first, second = join(desk, text), join(desk, text)

    assert first.subject_id != second.subject_id
    with pytest.raises(Denied, match="used up"):
        join(desk, text)


def test_an_answer_that_was_lost_is_given_again_to_the_same_key(desk: Desk) -> None:
    key = new_key()
    _, text = create(desk, uses=2)
    record = join(desk, text, "n1", key)

    assert join(desk, text, "n1", key) == record
    assert join(desk, text, None, key) == record
    assert uses_left(desk) == [1]


def test_what_was_handed_out_counts_no_longer_once_it_ended(desk: Desk) -> None:
    key = new_key()
    _, text = create(desk, ttl=timedelta(days=200))
    record = join(desk, text, "n1", key)
    desk.move_clock(timedelta(seconds=record.not_after - record.not_before))
    with pytest.raises(Denied, match="used up"):
        join(desk, text, "n1", key)
    assert len(desk.states()) == 1


def test_a_revoked_key_gets_nothing_again(desk: Desk) -> None:
    key = new_key()
    _, text = create(desk)
    join(desk, text, "n1", key)
    desk.home.store.write(lambda transaction: revoke_certificates(transaction, "n1", OPERATOR))

    with pytest.raises(Denied, match="revoked"):
        join(desk, text, "n1", key)


def test_expired_and_revoked_tokens_are_refused_each_for_its_reason(desk: Desk) -> None:
    (ended, ended_text), (_, expiring_text) = create(desk), create(desk)
    desk.home.store.write(lambda transaction: revoke_limited_token(transaction, ended.token_id, OPERATOR))

    for moved, text, reason in (
        (timedelta(), ended_text, "the token was revoked"),
        (QUARTER, expiring_text, "the token has expired"),
    ):
        desk.move_clock(moved)
        with pytest.raises(Denied, match=reason):
            join(desk, text)
        entry = desk.last_entry()
        assert (entry["action"], entry["outcome"], entry["reason"]) == ("ca.token-redeem", "denied", reason)
        assert text.rpartition("-")[2] not in str(entry)
    assert desk.states() == {}


def test_a_token_for_one_node_is_for_no_other(desk: Desk) -> None:
    _, text = create(desk, node_name="n1", uses=5)

    with pytest.raises(Denied, match="for a node of another name"):
        join(desk, text, "n2")

    assert desk.last_entry()["reason"] == "the token is for a node of another name"
    assert join(desk, text).subject_id == "n1"
    with pytest.raises(Denied, match="n1 belongs to another node"):
        join(desk, text)
    assert uses_left(desk) == [4]


@pytest.mark.parametrize(
    ("role", "purpose"),
    [(TokenRole.DRIVER, "secret driver"), (TokenRole.AGENT, "agent"), (TokenRole.RECOVER, "expired")],
)
def test_tokens_for_something_else_say_what_they_are_for(role: TokenRole, purpose: str, desk: Desk) -> None:
    desk.issue(NodeRole.WORKER, "n1", new_key())
    _, text = create(desk, role, node_name="n1")

    with pytest.raises(Denied, match=purpose):
        join(desk, text)
    assert uses_left(desk) == [1]
    assert desk.last_entry()["outcome"] == "denied"


def test_an_unknown_token_teaches_nothing(desk: Desk) -> None:
    create(desk)
    unknown = JoinToken.build(desk.authority.bundle_pem, bytes(range(16))).format()

    with pytest.raises(Denied) as raised:
        join(desk, unknown)

    assert str(raised.value) == "a valid join token is necessary to join this cluster"


def test_the_second_form_of_a_token_is_another_token(desk: Desk) -> None:
    _, text = create(desk)
    good = JoinToken.parse(text)
    other = JoinToken(digest=good.digest, secret=good.secret, fips=False)

    with pytest.raises(Denied, match="a valid join token"):
        join(desk, other.format())
