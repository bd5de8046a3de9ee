"""What a server does beside answering: take up what other processes change in the home, and what time asks for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import Event, ObjectRef
from swarmsec.clockwatch import ClockWatch
from swarmsec.config import Config
from swarmsec.errors import Unavailable
from swarmsec.server.app import Server
from swarmsec.server.metrics import Metrics, delivery_result
from swarmsec.services.requester import SERVICE
from swarmsec.services.rotation.rotation_roots import EPOCH
from swarmsec.services.swarm.trust_swarm import drop_left_roots
from swarmsec.storage.following import BATCH, LogFollower, News
from swarmsec.storage.groupwriter import GroupWriter
from swarmsec.storage.store import Store
from swarmsec.wiring.serving.authorities import Authorities
from swarmsec.wiring.serving.certificate import ServerCertificate
from swarmsec.wiring.serving.gauges import HomeGauges
from swarmsec.wiring.serving.identities import IssuedIdentities
from swarmsec.wiring.serving.revocations import ServedRevocations
from swarmsec.wiring.serving.rotating import Rotating
from swarmsec.wiring.serving.trust import ServedTrust

FOLLOW_SECONDS: Final = 0.25
TICK_SECONDS: Final = 1.0
CHORE_SECONDS: Final = 10.0


@dataclass(slots=True, kw_only=True)
class Upkeep:
    """The server's own work, in two tasks: a chore may wait for another writer, and a revocation may not.

    Args:
        recovered: the entry that proves, after a failed write, that the store takes writes again.
        clock: watched for being set.
        authorities, rotating: the roots, and what a rotation of them asks for.
    """

    store: Store
    writer: GroupWriter
    follower: LogFollower
    identities: IssuedIdentities
    revocations: ServedRevocations
    trust: ServedTrust
    tls: ServerCertificate
    server: Server
    metrics: Metrics
    config: Config
    recovered: Event
    clock: ClockWatch
    authorities: Authorities
    rotating: Rotating
    gauges: HomeGauges
    _news: News = field(default_factory=News)
    _hurry: asyncio.Event = field(default_factory=asyncio.Event)
    _newest_certificate: int = 0
    """The highest row that was taken up; 0 before the first."""

    async def follow(self) -> None:
        """Take up what other processes change, for ever."""
        while True:
            try:
                if not self._news.entries:
                    self._news = await asyncio.to_thread(self.follower.poll)
                await self._take_up(self._news)
                is_behind = len(self._news.entries) == BATCH
                self._news = News()
            except Unavailable:
                # What a store that cannot be read now keeps from being taken up stays for the next round.
                self.metrics.audit_write_failures.inc()
                is_behind = False
            if not is_behind:
                # Nodes that call before a change of phase is taken up are told to wait for nothing.
                await _until(self.rotating.services.news.changed, FOLLOW_SECONDS)

    async def watch_disk(self) -> None:
        """Answer those who wait for a disk that does not answer, for ever."""
        while True:
            self.writer.fail_hung(self.config.storage.disk_timeout_seconds)
            await asyncio.sleep(TICK_SECONDS)

    async def keep_up(self) -> None:
        """Do what time asks for, for ever."""
        loop = asyncio.get_running_loop()
        next_chores = loop.time()
        while True:
            try:
                await asyncio.to_thread(self.store.anchor_if_due)
                await self._prove_writable()
                await self._log_clock_step()
                await self.rotating.go_on()
                if self.tls.is_of_another_authority():
                    await self._renew_own_certificate()
                if loop.time() >= next_chores:
                    next_chores = loop.time() + CHORE_SECONDS
                    await self._do_chores()
            except Unavailable:
                # A busy or full store is told by every request and by readiness; the next round tries again.
                self.metrics.audit_write_failures.inc()
            await _until(self._hurry, TICK_SECONDS)

    async def _take_up(self, news: News) -> None:
        """Take up entries; doing it twice changes nothing but the counts, which come last."""
        if EPOCH in news.rows.get("settings", ()):
            await self._take_up_authority()
        if "swarm_roots" in news.rows:
            self.identities.accept_swarm_roots(await asyncio.to_thread(self.identities.read_swarm_roots))
        if "certificates" in news.rows:
            changed = news.rows["certificates"] - self._only_issued(news)
            self.identities.forget_rows(changed, followed=max(map(int, news.rows["certificates"])))
            await self._close_revoked(changed)
        if self.tls.accept(self.identities.swarm_roots):
            await self.server.swap_tls()
        self._count(news.entries)
        self._newest_certificate = max([self._newest_certificate, *map(int, news.rows.get("certificates", ()))])
        self.metrics.audit_tree_size.set(self.follower.size)

    async def _take_up_authority(self) -> None:
        """Roots changed, or the home has become the authority of another cluster: a Swarm's that it adopted."""
        authority = await asyncio.to_thread(self.authorities.read)
        if authority.epoch == self.authorities.current.epoch:
            return
        self.authorities.adopt(authority)
        self.identities.use(authority.cluster_id, authority.accepted)
        self.revocations.forget()
        await self.rotating.take_up(authority)
        self.tls.use(authority)
        self._hurry.set()
        self.metrics.not_after.labels("root").set(authority.public.not_valid_after_utc.timestamp())
        await self.server.swap_tls()

    def _only_issued(self, news: News) -> set[str]:
        """Certificates that nothing happened to but their issue: newer than all before, and in one entry alone.

        Nobody was told of them before, and a storm of them would be read again for nothing.
        """
        if not self._newest_certificate:
            return set()
        spoken_of = Counter(key for entry in news.entries for key in _certificates_of(entry))
        return {key for key, entries in spoken_of.items() if entries == 1 and int(key) > self._newest_certificate}

    async def _close_revoked(self, ids: set[str]) -> None:
        revoked = await asyncio.to_thread(self.identities.revoked_among, ids) if ids else []
        if revoked:
            self.revocations.forget()
            await self.server.close_revoked(revoked)

    async def _prove_writable(self) -> None:
        """After a failed write, find out by another one when writes succeed again: while not ready, nobody may ask."""
        if self.writer.failure is not None:
            await self.writer.write(lambda transaction: transaction.log(self.recovered))

    async def _log_clock_step(self) -> None:
        milliseconds = self.clock.step()
        if milliseconds:
            event = SERVICE.event(Action.CLOCK_STEP, ObjectRef(type="clock"), fields={"milliseconds": milliseconds})
            await self.writer.write(lambda transaction: transaction.log(event))

    async def _do_chores(self) -> None:
        await self.trust.refresh()
        await self.trust.observe(self.metrics)
        await self.gauges.observe()
        quiet = self.identities.quiet_roots(self.config.ca.former_root_minutes)
        if quiet:
            await self.writer.write(lambda transaction: drop_left_roots(transaction, quiet))
        if self.tls.is_due():
            await self._renew_own_certificate()

    async def _renew_own_certificate(self) -> None:
        self.tls.adopt(await self.writer.write(self.tls.issue_in))
        self.metrics.not_after.labels("server").set(self.tls.not_after)
        await self.server.swap_tls()

    def _count(self, entries: Sequence[Mapping[str, object]]) -> None:
        """Count entries: those that say the same together, since a storm is of a few kinds."""
        for entry in entries:
            self.gauges.take_up(entry)
        for (action, outcome, detail), count in Counter(map(_kind_of, entries)).items():
            self.metrics.count_entries(action, outcome, count)
            if action == Action.SECRET_DELIVER:
                self.metrics.secret_deliveries.labels(detail).inc(count)
            if action == Action.CA_ISSUE:
                result = "issued" if outcome == Outcome.SUCCESS else "refused"
                self.metrics.count_issued(detail, result, count)


async def _until(event: asyncio.Event, seconds: float) -> None:
    """Until the next round, or until there is something that should not wait for it."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    event.clear()


def _kind_of(entry: Mapping[str, object]) -> tuple[str, str, str]:
    """An entry's action and outcome, and what tells it from others: the profile, or what became of a request."""
    action, outcome, found = str(entry["action"]), str(entry["outcome"]), entry.get("fields")
    fields = found if isinstance(found, dict) else {}
    match action:
        case Action.SECRET_DELIVER:
            return action, outcome, delivery_result(outcome, fields)
        case Action.CA_ISSUE:
            return action, outcome, str(fields.get("profile", ""))
        case _:
            return action, outcome, ""


def _certificates_of(entry: Mapping[str, object]) -> list[str]:
    """The rows of the issuance table that an entry says it changed."""
    state = entry.get("state")
    return [str(change[1]) for change in state if change[0] == "certificates"] if isinstance(state, list) else []
