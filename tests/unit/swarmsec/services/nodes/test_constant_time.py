"""Whatever lets somebody in or opens something is compared whole, in constant time, however much of it is right.

``tests/unit/repository/test_secret_comparisons.py`` shows that no secret is compared in another way. Here each
verification is done, and what it gave ``hmac.compare_digest`` is looked at.
"""

from __future__ import annotations

import hmac
import io
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from ca.identity import NodeRole
from ca.tokens import JoinToken
from swarmsec.errors import AlreadyExists, Denied
from swarmsec.keys.backupfile import read_backup, write_backup
from swarmsec.keys.recovery import new_recovery_key
from swarmsec.secretbytes import SecretBytes
from swarmsec.secretstore.envelope import COMMITMENT_BYTES, RecordContext, SealedRecord, TermKey, open_record, seal
from swarmsec.secretstore.errors import RecordUnreadable
from swarmsec.secretstore.names import SecretName
from swarmsec.services.homes.backup_archive import BackupDamaged
from swarmsec.services.nodes.join_node import JoinRequest, join_node
from swarmsec.services.nodes.limited_tokens import TokenRole
from swarmsec.services.nodes.standing_tokens import open_standing_token
from swarmsec.services.secrets.attach_secret import verify_docker_secret
from swarmsec.services.secrets.service_records import FINGERPRINT_LABEL, NAME_LABEL, DockerSecret
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.access.test_enrol_identity import enrol
from tests.unit.swarmsec.services.desk import Desk, new_key, request_of
from tests.unit.swarmsec.services.nodes.test_hold_nodes import approve, held
from tests.unit.swarmsec.services.nodes.test_limited_tokens import create
from tests.unit.swarmsec.services.nodes.test_recover_node import recover
from tests.unit.swarmsec.services.trust.test_ci_tokens import make, spend
from tests.unit.swarmsec.services.trust.trustdesk import APP, TrustDesk

Pairs = list[tuple[bytes, bytes]]
EXPIRED = timedelta(days=91)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Pairs:
    """What was compared in constant time since the test cleared it, in order."""
    pairs: Pairs = []
    compare = hmac.compare_digest

    def record(one: Any, other: Any) -> bool:
        pairs.append((_octets(one), _octets(other)))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", record)
    return pairs


def _octets(value: str | bytes | bytearray) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


def whole(token: JoinToken) -> bytes:
    """All of a token as it is compared: no flag, digest, secret."""
    return b"\x00" + token.digest + token.secret


def altered(value: bytes, at: int) -> bytes:
    """The same bytes but for one."""
    return bytes(octet ^ (index == at % len(value)) for index, octet in enumerate(value))


def standing(desk: Desk, role: NodeRole) -> JoinToken:
    return desk.home.store.read(lambda transaction: open_standing_token(transaction, desk.keys, role)[1])


def join(desk: Desk, token: JoinToken) -> object:
    wanted = JoinRequest(token=token.format(), signing_request=request_of(new_key()), node_name=None)
    return desk.write(lambda transaction, authority: join_node(transaction, desk.keys, authority, wanted, OPERATOR))


@pytest.mark.parametrize("role", list(NodeRole))
def test_a_standing_token_is_compared_whole(role: NodeRole, desk: Desk, compared: Pairs) -> None:
    presented = standing(desk, role)
    compared.clear()

    join(desk, presented)

    assert (presented.digest, presented.digest) in compared
    assert (whole(presented), whole(presented)) in compared


@pytest.mark.parametrize("at", [0, 8, -1])
def test_of_a_wrong_secret_all_is_compared_wherever_it_differs(at: int, desk: Desk, compared: Pairs) -> None:
    tokens = [standing(desk, role) for role in NodeRole]
    wrong = JoinToken(digest=tokens[0].digest, secret=altered(tokens[0].secret, at))
    compared.clear()

    with pytest.raises(Denied, match="a valid join token is necessary"):
        join(desk, wrong)

    assert {(whole(wrong), whole(token)) for token in tokens} <= set(compared)


@pytest.mark.parametrize("at", [0, 16, -1])
def test_the_digest_of_a_token_is_compared_whole(at: int, desk: Desk, compared: Pairs) -> None:
    token = standing(desk, NodeRole.WORKER)
    wrong = JoinToken(digest=altered(token.digest, at), secret=token.secret)
    compared.clear()

    with pytest.raises(Denied, match="for another root"):
        join(desk, wrong)

    assert (wrong.digest, token.digest) in compared


@pytest.mark.parametrize("role", list(TokenRole))
def test_a_limited_token_is_compared_by_its_keyed_fingerprint(role: TokenRole, desk: Desk, compared: Pairs) -> None:
    key = new_key()
    if role is TokenRole.RECOVER:
        desk.issue(NodeRole.WORKER, "n1", key)
    record, text = create(desk, role, node_name="n1")
    redeem: dict[TokenRole, Callable[[], object]] = {
        TokenRole.RECOVER: lambda: recover(desk, text, key),
        TokenRole.DRIVER: lambda: enrol(desk, text),
        TokenRole.AGENT: lambda: enrol(desk, text),
    }
    if role is TokenRole.RECOVER:
        desk.move_clock(EXPIRED)
        record, text = create(desk, role, node_name="n1")
    compared.clear()

    redeem.get(role, lambda: join(desk, JoinToken.parse(text)))()

    assert (record.fingerprint, record.fingerprint) in compared
    assert len(record.fingerprint) == 32


@pytest.mark.parametrize("at", [0, -1])
def test_the_key_that_an_operator_expects_is_compared_whole(at: int, desk: Desk, compared: Pairs) -> None:
    waiting = held(desk, standing(desk, NodeRole.MANAGER).format(), new_key())
    compared.clear()

    with pytest.raises(Denied, match="has the fingerprint"):
        approve(desk, waiting.node_id, altered(waiting.spki_sha256, at))
    approve(desk, waiting.node_id, waiting.spki_sha256)

    assert (altered(waiting.spki_sha256, at), waiting.spki_sha256) in compared
    assert (waiting.spki_sha256, waiting.spki_sha256) in compared


def test_the_mac_of_a_token_for_ci_is_compared_whole(trust: TrustDesk, compared: Pairs) -> None:
    trust.sign(f"{APP}:1")
    _, text = make(trust)
    compared.clear()

    spend(trust, text)

    assert [len(one) for one, other in compared if one == other and len(one) == 32]


def test_the_mac_of_a_backup_is_compared_whole(compared: Pairs) -> None:
    recovery, file = new_recovery_key(), io.BytesIO()
    write_backup(file, [b"one", b"two"], recipient=recovery.recipient, mac_key=SecretBytes(os.urandom(32)))
    file.seek(0)

    with pytest.raises(BackupDamaged, match="its MAC does not fit"):
        read_backup(file, recovery, lambda line: None)

    ((found, expected),) = compared
    assert len(found) == len(expected) > 64
    assert found != expected


@pytest.mark.parametrize("at", [-COMMITMENT_BYTES, -1])
def test_the_commitment_to_a_data_key_is_compared_whole(at: int, compared: Pairs) -> None:
    key = TermKey(term=1, key=SecretBytes(bytes(range(32))))
    context = RecordContext(store_id="store", name="ca/root/1", version=1, created=1_700_000_000)
    sealed = seal(key, context, b"value", os.urandom)
    committed = sealed.wrapped_key[-COMMITMENT_BYTES:]
    changed = SealedRecord(wrapped_key=altered(sealed.wrapped_key, at), body=sealed.body)

    with pytest.raises(RecordUnreadable):
        open_record(key, context, changed)
    open_record(key, context, sealed)

    assert compared == [(committed, changed.wrapped_key[-COMMITMENT_BYTES:]), (committed, committed)]


@pytest.mark.parametrize("at", [0, -1])
def test_the_fingerprint_of_a_value_is_compared_whole(at: int, compared: Pairs) -> None:
    name, fingerprint = SecretName.parse("team/app/db"), "f1:" + "a" * 32
    wrong = altered(fingerprint.encode(), at).decode()
    found = DockerSecret(
        id="s1", name="team.app.db", labels={NAME_LABEL: name.text, FINGERPRINT_LABEL: wrong}, driver=""
    )

    with pytest.raises(AlreadyExists):
        verify_docker_secret(found, name, "", fingerprint=fingerprint)

    assert compared == [(wrong.encode(), fingerprint.encode())]


def test_secret_bytes_and_tokens_compare_so_by_themselves(compared: Pairs) -> None:
    one, other = bytes(16), bytes(15) + b"\x01"

    assert SecretBytes(one) != SecretBytes(other)
    assert JoinToken(digest=bytes(32), secret=one) != JoinToken(digest=bytes(32), secret=other)

    assert compared == [(one, other), (bytes(33) + one, bytes(33) + other)]
