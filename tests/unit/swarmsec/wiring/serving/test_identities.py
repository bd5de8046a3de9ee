"""Who a peer is: by the table alone, for as long as the table says so, whatever was remembered."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta

import pytest

from ca.identity import NodeRole
from ca.profiles import Profile
from swarmsec.errors import Unauthenticated
from swarmsec.http import ANONYMOUS, Caller, Role, RoleKind
from swarmsec.services.ca.issue_for_hosts import issue_for_host
from swarmsec.services.ca.revoke_certificates import revoke_certificates
from swarmsec.services.records import CertificateRecord
from swarmsec.wiring.serving import identities as module
from swarmsec.wiring.serving.identities import IssuedIdentities, Known
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk, LaterClock, new_key, spki_of

OLGA = Role(kind=RoleKind.OPERATOR)


def _operator(desk: Desk, role: Role | None = OLGA) -> CertificateRecord:
    return desk.write(
        lambda transaction, authority: issue_for_host(
            transaction,
            authority,
            Profile.CLIENT,
            name="olga",
            role=role,
            spki_der=spki_of(new_key()),
            hosts=("olga.example",),
            requester=OPERATOR,
        )
    )


def _identities(desk: Desk) -> IssuedIdentities:
    return IssuedIdentities(desk.home.store, desk.home.clock, desk.authority.cluster_id, {1})


async def _ask(identities: IssuedIdentities, der: bytes | None) -> Caller:
    answer = identities.identify(der, "192.0.2.1")
    return answer if isinstance(answer, Caller) else await answer


def _identify(identities: IssuedIdentities, der: bytes | None) -> Caller:
    return asyncio.run(_ask(identities, der))


def _revoke(desk: Desk) -> None:
    desk.home.store.write(lambda transaction: revoke_certificates(transaction, "olga", OPERATOR))


def test_nobody_is_anonymous(desk: Desk) -> None:
    assert _identify(_identities(desk), None).role == ANONYMOUS


def test_the_table_says_the_role(desk: Desk) -> None:
    record = _operator(desk)

    caller = _identify(_identities(desk), record.der)

    assert (str(caller.role), caller.name) == ("operator", "olga")
    assert caller.certificate_sha256 == hashlib.sha256(record.der).hexdigest()


def test_a_certificate_without_a_role_is_nobody(desk: Desk) -> None:
    with pytest.raises(Unauthenticated):
        _identify(_identities(desk), _operator(desk, None).der)


def test_a_revocation_is_seen_once_it_is_news(desk: Desk) -> None:
    record, identities = _operator(desk), _identities(desk)
    _identify(identities, record.der)
    _revoke(desk)
    identities.forget_all()

    with pytest.raises(Unauthenticated, match="revoked"):
        _identify(identities, record.der)
    assert identities.revoked_among([str(record.id)]) == [record.sha256.hex()]


def test_what_was_read_before_the_news_is_not_remembered_after_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    record, identities = _operator(desk), _identities(desk)
    look_up = IssuedIdentities._look_up

    def revoked_meanwhile(self: IssuedIdentities, der: bytes, sha256: str) -> Known:
        known = look_up(self, der, sha256)
        monkeypatch.undo()
        _revoke(desk)
        self.forget_all()
        return known

    monkeypatch.setattr(IssuedIdentities, "_look_up", revoked_meanwhile)
    _identify(identities, record.der)

    with pytest.raises(Unauthenticated, match="revoked"):
        _identify(identities, record.der)


def test_an_expired_certificate_is_refused_though_it_is_remembered(desk: Desk) -> None:
    record = _operator(desk)
    clock = LaterClock()
    identities = IssuedIdentities(desk.home.store, clock, desk.authority.cluster_id, {1})
    _identify(identities, record.der)

    clock.later = timedelta(days=91)

    with pytest.raises(Unauthenticated, match="dates"):
        _identify(identities, record.der)


def test_memory_is_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KNOWN", 2)
    identities = _identities(desk)
    for number in range(4):
        _identify(identities, desk.issue(NodeRole.WORKER, f"n{number}", new_key()).der)

    assert len(identities._known) == 2


def test_changed_rows_alone_are_looked_up_anew(desk: Desk) -> None:
    record, other = _operator(desk), desk.issue(NodeRole.WORKER, "n1", new_key())
    identities = _identities(desk)
    _identify(identities, record.der)
    _identify(identities, other.der)
    _revoke(desk)
    identities.forget_rows([str(other.id), "4711"])
    assert _identify(identities, record.der).name == "olga"

    identities.forget_rows([str(record.id)])

    with pytest.raises(Unauthenticated, match="revoked"):
        _identify(identities, record.der)


def test_a_change_of_roots_is_held_against_what_is_remembered(desk: Desk) -> None:
    record, identities = _operator(desk), _identities(desk)
    _identify(identities, record.der)

    identities.use(desk.authority.cluster_id, {1, 2})
    assert len(identities._known) == 1
    assert _identify(identities, record.der).name == "olga"

    identities.use(desk.authority.cluster_id, {2})
    with pytest.raises(Unauthenticated, match="given up"):
        _identify(identities, record.der)

    identities.use("another-cluster", {1})
    assert not identities._known


@pytest.mark.parametrize("is_known", [True, False])
def test_who_asks_at_the_same_time_shares_one_look(desk: Desk, monkeypatch: pytest.MonkeyPatch, is_known: bool) -> None:
    record, identities = _operator(desk, OLGA if is_known else None), _identities(desk)
    look_up, looks = IssuedIdentities._look_up, []

    def counted(self: IssuedIdentities, der: bytes, sha256: str) -> Known:
        looks.append(sha256)
        return look_up(self, der, sha256)

    monkeypatch.setattr(IssuedIdentities, "_look_up", counted)

    async def ask_together() -> list[object]:
        gone = asyncio.create_task(_ask(identities, record.der))
        await asyncio.sleep(0)
        gone.cancel()
        asked = [_ask(identities, record.der) for _ in range(8)]
        return list(await asyncio.gather(*asked, return_exceptions=True))

    answers = asyncio.run(ask_together())

    assert len(looks) == 1
    assert {type(answer) for answer in answers} == {Caller if is_known else Unauthenticated}
    assert not identities._lookups


def test_what_was_just_issued_is_known_without_a_look(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    identities = _identities(desk)
    record = desk.issue(NodeRole.WORKER, "n1", new_key())
    identities.keep_issued(record)
    monkeypatch.delattr(IssuedIdentities, "_look_up")
    caller = _identify(identities, record.der)
    assert (str(caller.role), caller.name) == ("node:n1", "n1")


@pytest.mark.parametrize("kept_first", [True, False])
def test_a_revocation_is_never_overtaken_by_the_issue(kept_first: bool, desk: Desk) -> None:
    """The log may be read before the certificate is handed out, or after it."""
    record, identities = _operator(desk), _identities(desk)
    _revoke(desk)
    if kept_first:
        identities.keep_issued(record)
    identities.forget_rows([str(record.id)], followed=record.id)
    if not kept_first:
        identities.keep_issued(record)
    with pytest.raises(Unauthenticated, match="revoked"):
        _identify(identities, record.der)
