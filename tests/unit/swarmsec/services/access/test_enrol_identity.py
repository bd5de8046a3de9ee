"""A driver or agent gets what its token says and nothing else, and renews it as a node does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ca.identity import NodeRole
from swarmsec.errors import AlreadyExists, Denied, SwarmsecError, UsageProblem
from swarmsec.http import Role
from swarmsec.services.access.enrol_identity import EnrolRequest, enrol_identity
from swarmsec.services.access.manage_access import add_identity, list_identities, revoke_identity
from swarmsec.services.nodes.enrolled_nodes import enrolled_nodes
from swarmsec.services.nodes.join_node import JoinRequest, join_node
from swarmsec.services.nodes.limited_tokens import TokenRole, WantedToken, create_limited_token
from swarmsec.services.records import CertificateRecord
from swarmsec.storage.checking import verify_store
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk, new_key, request_of, spki_of
from tests.unit.swarmsec.services.desk import renew as renew_presented


def token_of(desk: Desk, role: TokenRole, *, node_name: str = "", uses: int = 1) -> str:
    wanted = WantedToken(role=role, ttl=timedelta(minutes=15), uses=uses, node_name=node_name)
    return desk.write(
        lambda transaction, authority: create_limited_token(transaction, desk.keys, authority, OPERATOR, wanted)
    )[1]


def enrol(
    desk: Desk, token: str, name: str | None = None, key: ec.EllipticCurvePrivateKey | None = None
) -> CertificateRecord:
    wanted = EnrolRequest(token=token, signing_request=request_of(key or new_key()), name=name)
    return desk.write(
        lambda transaction, authority: enrol_identity(transaction, desk.keys, authority, wanted, OPERATOR)
    )


def renew(desk: Desk, presented: CertificateRecord, key: ec.EllipticCurvePrivateKey) -> CertificateRecord:
    return desk.write(
        lambda transaction, authority: renew_presented(transaction, authority, presented, request_of(key))
    )


@pytest.mark.parametrize(
    ("role", "node_name", "name", "expected"),
    [
        (TokenRole.DRIVER, "m1", None, ("driver.m1", "driver")),
        (TokenRole.DRIVER, "", "m1", ("driver.m1", "driver")),
        (TokenRole.DRIVER, "m1", "m1", ("driver.m1", "driver")),
        (TokenRole.AGENT, "node-1", None, ("agent.node-1", "agent:node-1")),
        (TokenRole.AGENT, "", "node-1", ("agent.node-1", "agent:node-1")),
    ],
)
def test_the_token_decides_the_role(
    role: TokenRole, node_name: str, name: str | None, expected: tuple[str, str], desk: Desk
) -> None:
    record = enrol(desk, token_of(desk, role, node_name=node_name), name)

    assert (record.subject_id, record.role) == expected
    assert record.profile == "client"
    entry = desk.last_entry()
    assert (entry["action"], entry["outcome"]) == ("ca.token-redeem", "success")
    assert entry["fields"] == {"serial": record.serial, "uses_left": 0}
    assert [item.name for item in desk.home.store.read(list_identities)] == [expected[0]]
    verify_store(desk.home.store)


def test_a_driver_without_a_name_gets_one(desk: Desk) -> None:
    token = token_of(desk, TokenRole.DRIVER, uses=2)

    first, second = enrol(desk, token), enrol(desk, token)

    assert first.subject_id != second.subject_id
    assert first.subject_id.startswith("driver.")


@pytest.mark.parametrize(
    ("role", "node_name", "name", "error", "reason"),
    [
        (TokenRole.WORKER, "", None, Denied, "this token is for role worker"),
        (TokenRole.MANAGER, "", "m1", Denied, "this token is for role manager"),
        (TokenRole.AGENT, "", None, UsageProblem, "expected the node of this agent"),
        (TokenRole.AGENT, "node-1", "node-2", Denied, "the token is for another name"),
        (TokenRole.DRIVER, "", "", UsageProblem, "expected a node id"),
        (TokenRole.DRIVER, "", "Not A Name", UsageProblem, "expected a node id"),
        (TokenRole.DRIVER, "", "x" * 60, UsageProblem, "expected a name"),
        (TokenRole.AGENT, "", "localhost", UsageProblem, "reserved"),
    ],
)
def test_what_is_not_the_token_s_is_refused_and_recorded(
    role: TokenRole, node_name: str, name: str | None, error: type[SwarmsecError], reason: str, desk: Desk
) -> None:
    token = token_of(desk, role, node_name=node_name)

    with pytest.raises(error, match=reason):
        enrol(desk, token, name)

    entry = desk.last_entry()
    assert (entry["action"], entry["outcome"]) == ("ca.token-redeem", "denied")
    assert reason in entry["reason"]
    assert desk.states() == {}


def test_a_node_cannot_join_with_a_driver_s_token(desk: Desk) -> None:
    token = token_of(desk, TokenRole.DRIVER)
    wanted = JoinRequest(token=token, signing_request=request_of(new_key()), node_name=None)

    with pytest.raises(Denied, match="for the secret driver"):
        desk.write(lambda transaction, authority: join_node(transaction, desk.keys, authority, wanted, OPERATOR))


def test_an_answer_that_was_lost_is_given_again_for_the_same_key_alone(desk: Desk) -> None:
    token, key = token_of(desk, TokenRole.DRIVER, node_name="m1"), new_key()
    record = enrol(desk, token, key=key)

    assert enrol(desk, token, key=key) == record
    with pytest.raises(Denied, match="the token is used up"):
        enrol(desk, token)


def test_a_name_is_given_once_until_it_is_revoked(desk: Desk) -> None:
    enrol(desk, token_of(desk, TokenRole.DRIVER, node_name="m1"))

    with pytest.raises(AlreadyExists, match=r"the name driver.m1 is in use"):
        enrol(desk, token_of(desk, TokenRole.DRIVER, node_name="m1"))
    desk.home.store.write(lambda transaction: revoke_identity(transaction, "driver.m1", OPERATOR))

    assert enrol(desk, token_of(desk, TokenRole.DRIVER, node_name="m1")).subject_id == "driver.m1"


def test_a_key_serves_one_identity(desk: Desk) -> None:
    key = new_key()
    desk.issue(NodeRole.WORKER, "n1", key)

    with pytest.raises(Denied, match="another identity's"):
        enrol(desk, token_of(desk, TokenRole.DRIVER), key=key)


@pytest.mark.parametrize("role", ["driver", "agent:node-1"])
def test_it_renews_itself_with_a_new_key(role: str, desk: Desk) -> None:
    kind = TokenRole(role.partition(":")[0])
    first = enrol(desk, token_of(desk, kind, node_name="node-1"))
    key = new_key()

    second = renew(desk, first, key)

    assert (second.subject_id, second.role, second.profile) == (first.subject_id, role, "client")
    assert desk.states() == {first.serial: "superseded", second.serial: "valid"}
    entry = desk.last_entry()
    assert entry["fields"]["via"] == f"renewal:{first.serial}"
    # Who lost the answer asks with the certificate that was superseded, and gets the same one.
    assert renew(desk, first, key) == second


@pytest.mark.parametrize("role", ["admin", "operator", "auditor", "signer:registry.example/shop"])
def test_people_do_not_renew_themselves(role: str, desk: Desk) -> None:
    record = desk.write(
        lambda transaction, authority: add_identity(
            transaction,
            authority,
            name="alice",
            role=Role.parse(role),
            spki_der=spki_of(new_key()),
            requester=OPERATOR,
        )
    )

    with pytest.raises(Denied, match="only a node's certificate can be renewed"):
        renew(desk, record, new_key())


def test_a_revoked_identity_gets_nothing(desk: Desk) -> None:
    record = enrol(desk, token_of(desk, TokenRole.DRIVER, node_name="m1"))
    desk.home.store.write(lambda transaction: revoke_identity(transaction, "driver.m1", OPERATOR))

    with pytest.raises(Denied, match="revoked"):
        renew(desk, record, new_key())


def test_a_rotation_waits_for_it(desk: Desk) -> None:
    enrol(desk, token_of(desk, TokenRole.AGENT, node_name="node-1"))

    assert desk.home.store.read(enrolled_nodes).own == {"agent.node-1"}
