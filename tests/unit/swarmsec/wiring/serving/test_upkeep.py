"""The server's own work: no news is lost to an outage, and writes are tried again while nobody else may."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from cryptography.x509 import load_pem_x509_certificates
from cryptography.x509.oid import NameOID

from ca.identity import NodeRole
from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.clockwatch import ClockWatch
from swarmsec.errors import Denied, Unavailable
from swarmsec.server.metrics import Metrics
from swarmsec.services.ca.revoke_certificates import revoke_certificates
from swarmsec.services.ports import Transaction
from swarmsec.services.rotation.rotation_roots import change_epoch
from swarmsec.services.swarm.trust_swarm import trust_swarm
from swarmsec.storage.following import LogFollower, News
from swarmsec.storage.groupwriter import GroupWriter
from swarmsec.wiring.serving import upkeep as module
from swarmsec.wiring.serving.certificate import ServerCertificate
from swarmsec.wiring.serving.gauges import HomeGauges
from swarmsec.wiring.serving.identities import IssuedIdentities
from swarmsec.wiring.serving.revocations import ServedRevocations
from swarmsec.wiring.serving.rotating import Rotating
from swarmsec.wiring.serving.rotationnews import NodeCall
from swarmsec.wiring.serving.services import AuthorityServices, HomeReadiness
from swarmsec.wiring.serving.trust import ServedTrust
from swarmsec.wiring.serving.turns import Turns
from swarmsec.wiring.serving.upkeep import Upkeep
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk, new_key
from tests.unit.swarmsec.services.swarm.test_trust_swarm import new_root
from tests.unit.swarmsec.wiring.serving.authorities import authorities_of

SECONDS = 20.0


@dataclass(slots=True)
class Told:
    """A server that remembers what it was told."""

    swaps: int = 0
    closed: list[str] = field(default_factory=list)

    async def swap_tls(self) -> None:
        self.swaps += 1

    async def close_revoked(self, certificate_sha256s: list[str]) -> int:
        self.closed += certificate_sha256s
        return len(certificate_sha256s)


def _upkeep(desk: Desk, server: Told) -> Upkeep:
    store = desk.home.store
    writer, authorities = GroupWriter(store), authorities_of(desk)
    identities = IssuedIdentities(store, desk.home.clock, desk.authority.cluster_id, {1})
    turns, metrics = Turns(desk.home.clock, 10), Metrics(version="0")
    services = AuthorityServices(store, writer, desk.keys, authorities, identities, (), turns)
    return Upkeep(
        store=store,
        writer=writer,
        follower=LogFollower(store, store.head().size),
        identities=identities,
        revocations=ServedRevocations(store, writer, desk.keys),
        trust=ServedTrust(store, writer, desk.keys),
        tls=ServerCertificate(store, desk.authority, ("localhost",)),
        server=server,  # type: ignore[arg-type]  # the two methods that are used of it
        metrics=metrics,
        gauges=HomeGauges(store, metrics),
        config=desk.home.config,
        clock=ClockWatch(desk.home.clock),
        authorities=authorities,
        rotating=Rotating(
            store=store, writer=writer, keys=desk.keys, authorities=authorities, services=services, turns=turns
        ),
        recovered=OPERATOR.event(Action.SERVE_RECOVER, ObjectRef(type="server")),
    )


def _run_until(work: Callable[[], Coroutine[Any, Any, None]], condition: Callable[[], bool]) -> None:
    async def main() -> None:
        task = asyncio.create_task(work())
        async with asyncio.timeout(SECONDS):
            while not condition() and not task.done():
                await asyncio.sleep(0.01)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_a_revocation_closes_connections(desk: Desk) -> None:
    record = desk.issue(NodeRole.WORKER, "n1", new_key())
    told = Told()
    upkeep = _upkeep(desk, told)
    desk.home.store.write(lambda transaction: revoke_certificates(transaction, "n1", OPERATOR))

    _run_until(upkeep.follow, lambda: bool(told.closed))

    assert told.closed == [record.sha256.hex()]


def test_entries_are_counted_by_what_they_say(desk: Desk) -> None:
    upkeep = _upkeep(desk, Told())
    key = new_key()
    for number in range(3):
        desk.issue(NodeRole.WORKER, f"n{number}", new_key())
    desk.issue(NodeRole.MANAGER, "m0", key)
    with pytest.raises(Denied):
        desk.issue(NodeRole.WORKER, "another", key)

    asyncio.run(upkeep._take_up(upkeep.follower.poll()))

    value = upkeep.metrics.registry.get_sample_value
    issued = {"action": "ca.issue", "outcome": "success"}
    # The server has its own certificate issued before.
    assert value("swarmsec_audit_entries_total", issued) == 5
    assert value("swarmsec_audit_entries_total", issued | {"outcome": "denied"}) == 1
    certificates = "swarmsec_ca_certificates_issued_total"
    assert value(certificates, {"profile": "swarm-worker", "result": "issued"}) == 3
    assert value(certificates, {"profile": "swarm-manager", "result": "issued"}) == 1
    assert value(certificates, {"profile": "", "result": "refused"}) == 1


def test_what_was_only_issued_is_not_read_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    upkeep = _upkeep(desk, Told())
    read: list[set[str]] = []

    def revoked_among(self: IssuedIdentities, ids: set[str]) -> list[str]:
        read.append(ids)
        return []

    def take_up() -> None:
        asyncio.run(upkeep._take_up(upkeep.follower.poll()))

    monkeypatch.setattr(IssuedIdentities, "revoked_among", revoked_among)
    first = desk.issue(NodeRole.WORKER, "n1", new_key())
    take_up()
    desk.issue(NodeRole.WORKER, "n2", new_key())
    take_up()
    both = [desk.issue(NodeRole.WORKER, "n3", new_key()) for _ in range(2)]
    take_up()
    desk.home.store.write(lambda transaction: revoke_certificates(transaction, "n1", OPERATOR))
    take_up()

    # The second of n3 superseded the first, which two entries therefore speak of.
    assert str(first.id) in read.pop(0)
    assert read == [{str(both[0].id)}, {str(first.id)}]


def test_a_new_root_swaps_the_listener_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FOLLOW_SECONDS", 0.01)
    told = Told()
    upkeep = _upkeep(desk, told)
    desk.write(lambda transaction, authority: trust_swarm(transaction, authority, new_root(), OPERATOR))

    _run_until(upkeep.follow, lambda: told.swaps > 0)

    assert told.swaps == 1
    assert len(upkeep.identities.swarm_roots) == 1


def test_a_change_of_phase_that_a_call_brought_about_is_taken_up_at_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FOLLOW_SECONDS", 10 * SECONDS)
    told = Told()
    upkeep = _upkeep(desk, told)
    looks: list[int] = []
    poll = LogFollower.poll

    def counting(self: LogFollower) -> News:
        looks.append(self.size)
        return poll(self)

    monkeypatch.setattr(LogFollower, "poll", counting)

    async def follow_while_a_node_calls() -> None:
        async with asyncio.TaskGroup() as group:
            following = group.create_task(upkeep.follow())
            while not looks:
                await asyncio.sleep(0.01)
            desk.write(lambda transaction, authority: trust_swarm(transaction, authority, new_root(), OPERATOR))
            call = NodeCall(node="n1", generation=1, certificate_sha256="", roots_sha256=b"")
            upkeep.rotating.services.news.note(replace(desk.authority, epoch="another"), call)
            while not told.swaps:
                await asyncio.sleep(0.01)
            following.cancel()

    _run_until(follow_while_a_node_calls, lambda: told.swaps > 0)

    assert told.swaps == 1


def test_the_id_of_an_adopted_swarm_is_taken_up_with_a_certificate_that_says_so(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FOLLOW_SECONDS", 0.01)
    told = Told()
    upkeep = _upkeep(desk, told)
    adopted = "1nppxlup4gqjnyefueyhd1lwz"

    def take(transaction: Transaction) -> None:
        transaction.settings.put("cluster_id", adopted)
        change_epoch(transaction)
        transaction.log(OPERATOR.event(Action.SWARM_ADOPT, ObjectRef(type="swarm", id=adopted)))

    upkeep.writer.start()
    try:
        desk.home.store.write(take)
        _run_until(upkeep.follow, lambda: told.swaps > 0)
        assert upkeep.tls.is_of_another_authority()
        _run_until(upkeep.keep_up, lambda: told.swaps > 1)
    finally:
        upkeep.writer.close()

    (leaf, *_) = load_pem_x509_certificates(upkeep.tls.current().certificate_chain_pem)
    assert leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == adopted


def test_news_survive_a_store_that_cannot_be_read_for_a_while(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FOLLOW_SECONDS", 0.01)
    told = Told()
    upkeep = _upkeep(desk, told)
    desk.write(lambda transaction, authority: trust_swarm(transaction, authority, new_root(), OPERATOR))
    failures = [Unavailable("the server could not be reached")] * 3
    read = IssuedIdentities.read_swarm_roots

    def failing(self: IssuedIdentities) -> Any:
        if failures:
            raise failures.pop()
        return read(self)

    monkeypatch.setattr(IssuedIdentities, "read_swarm_roots", failing)

    _run_until(upkeep.follow, lambda: told.swaps > 0)

    assert failures == []
    assert told.swaps == 1


def test_after_a_failed_write_one_of_our_own_shows_when_writes_succeed_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TICK_SECONDS", 0.01)
    upkeep = _upkeep(desk, Told())
    readiness = HomeReadiness(desk.home.store, upkeep.writer, desk.keys.tokens)
    upkeep.writer.start()
    try:
        asyncio.run(_fail_to_write(upkeep.writer))
        assert [check.name for check in asyncio.run(readiness.checks()) if not check.ok] == ["writes"]

        _run_until(upkeep.keep_up, lambda: upkeep.writer.failure is None)
    finally:
        upkeep.writer.close()

    assert all(check.ok for check in asyncio.run(readiness.checks()))
    assert desk.last_entry()["action"] == "serve.recover"


async def _fail_to_write(writer: GroupWriter) -> None:
    def fail(transaction: object) -> None:
        raise Unavailable("the disk is full")

    with pytest.raises(Unavailable):
        await writer.write(fail)
