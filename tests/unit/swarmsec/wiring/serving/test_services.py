"""What nodes are told is worded once and shared: by those who are told the same, and by nobody who is refused."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import pytest

from ca.rotation import Phase
from swarmsec.errors import Denied
from swarmsec.http import Caller, Role
from swarmsec.server.node_api import CheckAnswer
from swarmsec.storage.groupwriter import GroupWriter
from swarmsec.wiring.serving import services as module
from swarmsec.wiring.serving.authorities import Authorities
from swarmsec.wiring.serving.identities import IssuedIdentities
from swarmsec.wiring.serving.services import AuthorityServices, check_answer
from swarmsec.wiring.serving.turns import Turns
from tests.unit.swarmsec.services.desk import Desk
from tests.unit.swarmsec.services.rotation.rotating import Follower, abort, bring_to, enrol
from tests.unit.swarmsec.wiring.serving.authorities import authorities_of


@pytest.fixture
def writer(desk: Desk) -> Iterator[GroupWriter]:
    writer = GroupWriter(desk.home.store)
    writer.start()
    yield writer
    writer.close()


@pytest.fixture
def authorities(desk: Desk) -> Authorities:
    return authorities_of(desk)


@pytest.fixture
def services(desk: Desk, writer: GroupWriter, authorities: Authorities) -> AuthorityServices:
    store, clock = desk.home.store, desk.home.clock
    identities = IssuedIdentities(store, clock, desk.authority.cluster_id, {1})
    return AuthorityServices(store, writer, desk.keys, authorities, identities, (), Turns(clock, 10))


def caller_of(node: Follower) -> Caller:
    name = node.record.subject_id
    role = Role.parse(f"node:{name}")
    return Caller(role=role, name=name, address="192.0.2.1", certificate_sha256=node.record.sha256.hex())


async def check(services: AuthorityServices, node: Follower) -> CheckAnswer:
    """A node's call: that it trusts its roots."""
    return await services.check(caller_of(node), hashlib.sha256(node.roots).digest(), "request")


def test_who_is_told_the_same_gets_the_same_answer_and_nobody_another_s(
    desk: Desk, services: AuthorityServices
) -> None:
    """In no phase, nor after it, whatever was told before."""
    nodes = [enrol(desk, name) for name in ("a", "b")]
    seen = [desk.authority]
    bring_to(desk, Phase.DISTRIBUTING, nodes)
    seen.append(desk.authority)
    abort(desk)
    seen.append(desk.authority)
    assert len({authority.epoch for authority in seen}) == len(seen)

    told = list(product(seen, (False, True), (0, 1, 60)))
    first = [services._answered(authority, renew=renew, retry_after=wait) for authority, renew, wait in told]

    assert first == [check_answer(authority, renew=renew, retry_after=wait) for authority, renew, wait in told]
    again = [services._answered(authority, renew=renew, retry_after=wait) for authority, renew, wait in told]
    assert all(one is other for one, other in zip(first, again, strict=True))
    assert len({id(answer) for answer in first}) == len(told)


def test_roots_that_changed_back_are_worded_anew(desk: Desk, services: AuthorityServices) -> None:
    """By the epoch, which never comes again, and not by what it stands for."""
    before = desk.authority
    answer = services._answered(before)
    assert services._answered(replace(before, epoch="another")) is not answer
    assert services._answered(before) is answer


def test_no_more_are_kept_than_its_bound(desk: Desk, services: AuthorityServices) -> None:
    authority, most = desk.authority, module._MOST_ANSWERS
    for wait in range(3 * most):
        assert services._answered(authority, retry_after=wait).retry_after == wait
        assert 0 < len(services._answers) <= most
    assert services._answered(authority, retry_after=0).retry_after == 0


def test_a_refusal_is_the_caller_s_own(desk: Desk, services: AuthorityServices, authorities: Authorities) -> None:
    """Whose certificate is not on record is refused though others were answered before, and they are again."""
    good = enrol(desk, "a")
    bring_to(desk, Phase.DISTRIBUTING, [good])
    authorities.adopt(authorities.read())
    stranger = replace(caller_of(good), certificate_sha256="00" * 32)

    async def main() -> None:
        before = await check(services, good)
        kept = dict(services._answers)
        for _ in range(2):
            with pytest.raises(Denied):
                await services.check(stranger, hashlib.sha256(good.roots).digest(), "request")
        assert services._answers == kept
        assert {answer.phase for answer in (before, await check(services, good))} == {"distributing"}

    asyncio.run(main())
