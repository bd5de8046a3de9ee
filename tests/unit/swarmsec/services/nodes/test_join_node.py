"""A token decides the role; a name belongs to one key and is never the server's."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ca.identity import NodeRole
from ca.tokens import JoinToken
from swarmsec.errors import Denied
from swarmsec.services.nodes.join_node import JoinRequest, join_node
from swarmsec.services.nodes.standing_tokens import open_standing_token, renew_standing_token
from swarmsec.services.records import CertificateRecord
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk, new_key, request_of


def _token(desk: Desk, role: NodeRole = NodeRole.WORKER) -> str:
    return desk.home.store.read(lambda transaction: open_standing_token(transaction, desk.keys, role)[1].format())


def _join(
    desk: Desk, token: str, name: str | None = None, key: ec.EllipticCurvePrivateKey | None = None
) -> CertificateRecord:
    wanted = JoinRequest(
        token=token,
        signing_request=request_of(key or new_key()),
        node_name=name,
        reserved_names=frozenset({"ca-1", "localhost"}),
    )
    record = desk.write(lambda transaction, authority: join_node(transaction, desk.keys, authority, wanted, OPERATOR))
    assert isinstance(record, CertificateRecord)
    return record


@pytest.mark.parametrize("role", list(NodeRole))
def test_the_token_decides_the_role(role: NodeRole, desk: Desk) -> None:
    record = _join(desk, _token(desk, role))

    assert record.profile == role.value
    assert desk.last_entry()["fields"]["via"].startswith("token:")


def test_without_a_name_one_is_made_and_kept_for_the_key(desk: Desk) -> None:
    key = new_key()

    first = _join(desk, _token(desk), key=key)

    assert _join(desk, _token(desk), key=key) == first


@pytest.mark.parametrize("name", ["a.b", "ca-1", "localhost", "-", "a b", "swarm-ca", "ä", "x" * 64])
def test_names_that_no_node_may_have(name: str, desk: Desk) -> None:
    with pytest.raises(Denied):
        _join(desk, _token(desk), name)

    assert desk.states() == {}
    assert desk.last_entry()["outcome"] == "denied"


def test_a_name_of_another_key_is_refused(desk: Desk) -> None:
    _join(desk, _token(desk), "n1")

    with pytest.raises(Denied, match="another node"):
        _join(desk, _token(desk), "n1")


@pytest.mark.parametrize("damage", ["secret", "root", "form"])
def test_a_wrong_token_is_refused_and_never_logged(damage: str, desk: Desk) -> None:
    good = JoinToken.parse(_token(desk))
    wrong = {
        "secret": JoinToken.build(desk.authority.bundle_pem, bytes(range(16))).format(),
        "root": JoinToken.build(b"another bundle", bytes(range(16))).format(),
        "form": good.format()[:-3],
    }[damage]

    with pytest.raises(Denied) as raised:
        _join(desk, wrong)

    secret = wrong.rpartition("-")[2]
    assert secret not in str(raised.value)
    assert secret not in str(desk.last_entry())
    assert desk.states() == {}


def test_a_rotated_token_is_worth_nothing(desk: Desk) -> None:
    former = _token(desk)
    desk.home.store.write(lambda transaction: renew_standing_token(transaction, desk.keys, OPERATOR, NodeRole.WORKER))

    with pytest.raises(Denied):
        _join(desk, former)
    assert _join(desk, _token(desk)).subject_id
