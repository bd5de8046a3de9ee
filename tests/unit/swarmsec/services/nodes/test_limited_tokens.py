"""Tokens are kept as keyed fingerprints, listed with their state, and ended."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ca.errors import InvalidRequest
from ca.identity import NodeRole
from ca.tokens import JoinToken
from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.errors import NotFound, UsageProblem
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.homes.accept_restored import PENDING, Missing, begin_acceptance
from swarmsec.services.homes.restored_state import RESTORED
from swarmsec.services.nodes.limited_tokens import (
    KEY_NAME,
    MAX_TTL,
    MAX_USES,
    TokenRole,
    WantedToken,
    create_limited_token,
    find_limited_token,
    list_limited_tokens,
    revoke_limited_token,
)
from swarmsec.services.nodes.standing_tokens import open_standing_token
from swarmsec.services.ports import Transaction
from swarmsec.services.records import LimitedToken
from swarmsec.storage.checking import verify_store
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk, new_key

QUARTER = timedelta(minutes=15)


def create(desk: Desk, role: TokenRole = TokenRole.WORKER, **limits: Any) -> tuple[LimitedToken, str]:
    wanted = WantedToken(**{"role": role, "ttl": QUARTER, **limits})
    return desk.write(
        lambda transaction, authority: create_limited_token(transaction, desk.keys, authority, OPERATOR, wanted)
    )


def find(desk: Desk, text: str) -> LimitedToken | None:
    return desk.home.store.read(lambda transaction: find_limited_token(transaction, desk.keys, JoinToken.parse(text)))


def listed(desk: Desk) -> list[dict[str, object]]:
    return [dict(item) for item in desk.home.store.read(list_limited_tokens)]


@pytest.mark.parametrize("role", [role for role in TokenRole if role is not TokenRole.RECOVER])
def test_a_token_has_docker_s_shape_and_our_digest(role: TokenRole, desk: Desk) -> None:
    record, text = create(desk, role)

    standing = desk.home.store.read(lambda transaction: open_standing_token(transaction, desk.keys, NodeRole.WORKER)[1])
    token = JoinToken.parse(text)
    assert text.startswith("SWMTKN-1-")
    assert token.digest == standing.digest
    assert token.secret != standing.secret
    assert find(desk, text) == record
    verify_store(desk.home.store)


def test_nothing_of_the_secret_is_kept_or_shown(desk: Desk) -> None:
    record, text = create(desk)
    token = JoinToken.parse(text)

    with desk.home.store.engine.connect() as connection:
        dumped = "\n".join(connection.connection.driver_connection.iterdump())  # type: ignore[union-attr]  # sqlite3's
    for trace in (text, text.rpartition("-")[2], token.secret.hex()):
        assert trace not in dumped
        assert trace.upper() not in dumped
        assert trace not in repr(record)
    assert record.fingerprint.hex() not in repr(record)


def test_the_key_of_the_fingerprints_is_made_once_and_sealed(desk: Desk) -> None:
    first, second = create(desk), create(desk)

    row = desk.home.store.read(lambda transaction: transaction.sealed.get(KEY_NAME))
    assert row is not None
    assert row.version == 1
    assert find(desk, first[1]) == first[0]
    assert find(desk, second[1]) == second[0]


def test_without_the_key_a_fingerprint_says_nothing(desk: Desk) -> None:
    _, text = create(desk)

    def replace_key(transaction: Transaction) -> None:
        desk.keys.put(transaction, KEY_NAME, SecretBytes(bytes(32)))
        transaction.log(OPERATOR.event(Action.KEY_CREATE, ObjectRef(type="test-records")))

    desk.home.store.write(replace_key)

    assert find(desk, text) is None


def test_no_token_is_found_where_none_was_made(desk: Desk) -> None:
    assert find(desk, JoinToken.build(desk.authority.bundle_pem, bytes(16)).format()) is None


@pytest.mark.parametrize(
    "limits",
    [
        {"ttl": timedelta()},
        {"ttl": -QUARTER},
        {"ttl": MAX_TTL + timedelta(seconds=1)},
        {"uses": 0},
        {"uses": -1},
        {"uses": MAX_USES + 1},
        {"role": TokenRole.RECOVER},
        {"role": TokenRole.RECOVER, "node_name": "n1", "uses": 2},
    ],
    ids=str,
)
def test_limits_that_cannot_be_meant(limits: dict[str, Any], desk: Desk) -> None:
    desk.issue(NodeRole.WORKER, "n1", new_key())

    with pytest.raises(UsageProblem, match="expected --"):
        create(desk, **limits)
    assert listed(desk) == []


@pytest.mark.parametrize("name", ["a b", "swarm-ca", "10.0.0.1", "x" * 64])
def test_names_that_no_node_has(name: str, desk: Desk) -> None:
    with pytest.raises(InvalidRequest):
        create(desk, node_name=name)


def test_only_a_node_that_was_here_can_be_brought_back(desk: Desk) -> None:
    with pytest.raises(NotFound, match="no certificate of a node n1"):
        create(desk, TokenRole.RECOVER, node_name="n1")
    desk.issue(NodeRole.MANAGER, "n1", new_key())

    record, _ = create(desk, TokenRole.RECOVER, node_name="n1")

    assert (record.role, record.node_name, record.uses_left) == ("recover", "n1", 1)


def test_the_list_tells_the_state(desk: Desk) -> None:
    kept, ended = create(desk, uses=3, node_name="n1")[0], create(desk, ttl=timedelta(hours=2))[0]
    desk.home.store.write(lambda transaction: revoke_limited_token(transaction, ended.token_id, OPERATOR))

    states = {item["id"]: item["state"] for item in listed(desk)}
    assert states == {kept.token_id: "active", ended.token_id: "revoked"}
    shown = next(item for item in listed(desk) if item["id"] == kept.token_id)
    assert (shown["role"], shown["node_name"], shown["uses"], shown["uses_left"]) == ("worker", "n1", 3, 3)
    assert not {"fingerprint", "redeemed_by", "token"} & shown.keys()
    desk.move_clock(QUARTER)
    assert {item["state"] for item in listed(desk)} == {"expired", "revoked"}


def test_revoking_is_logged_once(desk: Desk) -> None:
    record, _ = create(desk)

    def revoke() -> bool:
        return desk.home.store.write(
            lambda transaction: revoke_limited_token(transaction, record.token_id, OPERATOR, reason="lost")
        )

    assert revoke()
    entry = desk.last_entry()
    assert (entry["action"], entry["reason"], entry["object"]["id"]) == ("ca.token-revoke", "lost", record.token_id)
    assert not revoke()
    assert desk.last_entry() == entry


@pytest.mark.parametrize("token_id", ["", "worker", "0" * 16])
def test_an_unknown_token_cannot_be_revoked(token_id: str, desk: Desk) -> None:
    with pytest.raises(NotFound):
        desk.home.store.write(lambda transaction: revoke_limited_token(transaction, token_id, OPERATOR))


def test_accepting_a_restored_home_ends_them_all(desk: Desk) -> None:
    create(desk)
    create(desk, TokenRole.MANAGER, node_name="m1")

    def accept(transaction: Transaction) -> None:
        transaction.settings.put(RESTORED, PENDING)
        begin_acceptance(transaction, desk.keys, OPERATOR, Missing(entries=0))

    desk.home.store.write(accept)

    assert {item["state"] for item in listed(desk)} == {"revoked"}
    verify_store(desk.home.store)
