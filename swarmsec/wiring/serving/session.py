"""One run of the server: start, follow what others change in the home, stop."""

from __future__ import annotations

import asyncio
import hashlib
import re
import socket
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from ca.hosts import parse_host
from policies.bundled_files import bundled
from swarmsec._version import __version__
from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.clockwatch import ClockWatch
from swarmsec.config import FILE_NAME
from swarmsec.errors import Unavailable, UsageProblem
from swarmsec.keys.errors import KeysLocked
from swarmsec.keys.signers import SealedKeys
from swarmsec.secretbytes import SecretBytes
from swarmsec.server.access import PolicyAccess
from swarmsec.server.app import Server, ServerParts
from swarmsec.server.metrics import Metrics
from swarmsec.server.settings import ServerSettings
from swarmsec.services.ca.authority import Authority
from swarmsec.services.ca.short_lifetimes import AuthorityFinding, short_lifetime_findings
from swarmsec.services.log.keyed_hashes import open_concealment
from swarmsec.services.requester import Field, Requester
from swarmsec.storage.checking import verify_store
from swarmsec.storage.following import LogFollower
from swarmsec.storage.groupwriter import GroupWriter
from swarmsec.wiring.ca.authority import served_lifetime_of
from swarmsec.wiring.homes.home import Home
from swarmsec.wiring.homes.intents import resolve_intents
from swarmsec.wiring.homes.unlocking import UnlockSocket
from swarmsec.wiring.process.descriptors import SPARE_DESCRIPTORS, raise_descriptor_limit
from swarmsec.wiring.process.localaddresses import server_names
from swarmsec.wiring.serving.answering import Answering, build_answering
from swarmsec.wiring.serving.authorities import Authorities
from swarmsec.wiring.serving.certificate import ServerCertificate
from swarmsec.wiring.serving.gauges import HomeGauges
from swarmsec.wiring.serving.identities import IssuedIdentities
from swarmsec.wiring.serving.rotating import Rotating
from swarmsec.wiring.serving.secretwork import SecretWork
from swarmsec.wiring.serving.services import HomeReadiness, LoggedRefusals
from swarmsec.wiring.serving.swarmwork import SwarmWork
from swarmsec.wiring.serving.upkeep import Upkeep
from swarmsec.wiring.serving.witnesses import ServedWitnesses

GRACE_SECONDS: Final = 10.0
_LISTEN: Final = re.compile(
    r"(?:\[(?P<address>[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)\]|(?P<name>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})", re.ASCII
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where and under which further names to listen."""

    host: str
    port: int
    names: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, names: tuple[str, ...] = ()) -> Listening:
        """Parse ``HOST:PORT``; an IPv6 address stands in brackets.

        Raises:
            UsageProblem: it is not of that form.
            ca.errors.InvalidRequest: the host is no name or address.
        """
        found = _LISTEN.fullmatch(text)
        if found is None or int(found["port"]) > 65_535:
            hint = "for example 0.0.0.0:8443 or [::]:8443"
            raise UsageProblem(f"expected --listen HOST:PORT, got {text!r:.80}", hint=hint)
        host = str(parse_host(found["address"] or found["name"]))
        return cls(host=host, port=int(found["port"]), names=names)


class Session:
    """A server over one home.

    Args:
        home: open; its store is written by this session alone from then on.
        listening: where to listen.
        requester: who started it.
        announce: called with each line for the operator.
    """

    def __init__(self, home: Home, listening: Listening, requester: Requester, announce: Callable[[str], None]) -> None:
        self._home = home
        self._listening = listening
        self._requester = requester
        self._announce = announce
        self._keys: SealedKeys | None = None
        self._unlocked = asyncio.Event()
        self._metrics = Metrics(version=__version__)
        self._findings: Sequence[AuthorityFinding] = ()

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set.

        Raises:
            IntegrityFailure: the store fails its full check.
            Unavailable: an address cannot be listened on.
        """
        self._loop = asyncio.get_running_loop()
        verify_store(self._home.store)
        resolve_intents(self._home)
        async with AsyncExitStack() as stack:
            if not await self._open_keys(stack, stop):
                return
            await self._start(stack)
            own = (self._upkeep.follow(), self._upkeep.keep_up(), self._upkeep.watch_disk())
            parts = (*own, self._witnesses.keep_asking(), self._secrets.keep_up(), self._swarm.keep_up(), stop.wait())
            work = {asyncio.create_task(part) for part in parts}
            done, running = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            for task in running:
                task.cancel()
            for task in done:
                await task

    async def _open_keys(self, stack: AsyncExitStack, stop: asyncio.Event) -> bool:
        """Open the keys, waiting for ``swarmsec unlock`` where no key file does; False if told to stop meanwhile."""
        self._metrics.sealed.set(1)
        if self._home.needs_passphrase():
            sock = UnlockSocket(self._home.path, self._unlock, self._root)
            await sock.start()
            stack.push_async_callback(sock.stop)
            if self._keys is None:
                self._announce("locked: waiting for swarmsec unlock")
                waits = {asyncio.create_task(self._unlocked.wait()), asyncio.create_task(stop.wait())}
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for wait in waits:
                    wait.cancel()
        else:
            self._keys = self._home.keys()
        self._metrics.sealed.set(0 if self._keys else 1)
        return self._keys is not None

    def _unlock(self, passphrase: SecretBytes) -> None:
        # Runs in a thread of the unlock socket, hence the detour for the event.
        self._keys = self._home.unlock(passphrase)
        self._loop.call_soon_threadsafe(self._unlocked.set)

    def _root(self) -> SecretBytes | None:
        return None if self._keys is None else self._keys.ring.root

    async def _start(self, stack: AsyncExitStack) -> None:
        home, keys = self._home, self._opened_keys()
        self._conceal_with(keys)
        lifetime = served_lifetime_of(home.config)
        self._warn_of_short(lifetime)
        follower = LogFollower(home.store, home.store.head().size)
        authorities = Authorities(home.store, keys, lifetime)
        await self._be_known_as(authorities.current)
        self._log_life(Action.SERVE_START)
        self._start_writing(stack)
        self._start_work(stack, keys)
        self._make_room_for_connections()
        answering = build_answering(home, self._writer, keys, authorities, self._identities, self._tls.names)
        self._witnesses = ServedWitnesses(
            store=home.store, writer=self._writer, metrics=self._metrics, seconds=home.config.audit.witness_seconds
        )
        self._server = self._build_server(answering, keys)
        self._upkeep = self._build_upkeep(answering, follower, authorities, keys)
        addresses = await self._server.start()
        stack.push_async_callback(self._server.stop, GRACE_SECONDS)
        for host, port in addresses:
            self._announce(f"listening on https://{f'[{host}]' if ':' in host else host}:{port}")

    def _opened_keys(self) -> SealedKeys:
        if self._keys is None:
            raise KeysLocked("the home is locked", hint="unlock with: swarmsec unlock")
        return self._keys

    def _conceal_with(self, keys: SealedKeys) -> None:
        store = self._home.store
        if hashed := self._home.config.audit.keyed_hashes:
            store.conceal = store.write(lambda transaction: open_concealment(transaction, keys, hashed))

    def _warn_of_short(self, lifetime: timedelta) -> None:
        self._findings = short_lifetime_findings((), lifetime)
        for finding in self._findings:
            self._announce(f"warning: {finding.text}; {finding.hint}")

    async def _be_known_as(self, authority: Authority) -> None:
        """Whom we know, and as whom we are known: the roots that clients may come under, and our own certificate."""
        store = self._home.store
        self._identities = IssuedIdentities(store, self._home.clock, authority.cluster_id, authority.accepted)
        self._tls = ServerCertificate(store, authority, await self._names())
        self._tls.accept(self._identities.swarm_roots)
        self._metrics.not_after.labels("root").set(authority.issuer.not_after.timestamp())
        self._metrics.not_after.labels("server").set(self._tls.not_after)

    def _start_writing(self, stack: AsyncExitStack) -> None:
        self._writer = GroupWriter(self._home.store)
        self._writer.start()
        stack.callback(self._log_life, Action.SERVE_STOP)
        stack.callback(self._writer.close, float(self._home.config.storage.disk_timeout_seconds))

    def _start_work(self, stack: AsyncExitStack, keys: SealedKeys) -> None:
        self._secrets = SecretWork(self._home, self._writer, keys, self._metrics, self._announce)
        stack.push_async_callback(self._secrets.close)
        self._swarm = SwarmWork(self._home, self._writer, keys, self._announce)
        stack.push_async_callback(self._swarm.close)

    def _build_server(self, answering: Answering, keys: SealedKeys) -> Server:
        parts = ServerParts(
            identities=self._identities,
            access=PolicyAccess.load(bundled("access.yaml")),
            refusal_log=LoggedRefusals(self._writer),
            tls=self._tls,
            readiness=HomeReadiness(self._home.store, self._writer, keys.tokens, self._witnesses),
            metrics=self._metrics,
            routes=answering.routes,
            version=__version__,
        )
        return Server(self._settings(), parts)

    def _build_upkeep(
        self, answering: Answering, follower: LogFollower, authorities: Authorities, keys: SealedKeys
    ) -> Upkeep:
        store = self._home.store
        return Upkeep(
            store=store,
            writer=self._writer,
            follower=follower,
            identities=self._identities,
            revocations=answering.revocations,
            trust=answering.trust,
            tls=self._tls,
            server=self._server,
            metrics=self._metrics,
            config=self._home.config,
            recovered=self._requester.event(Action.SERVE_RECOVER, self._reference()),
            clock=ClockWatch(self._home.clock),
            authorities=authorities,
            gauges=HomeGauges(store, self._metrics),
            rotating=Rotating(
                store=store,
                writer=self._writer,
                keys=keys,
                authorities=authorities,
                services=answering.services,
                turns=answering.turns,
            ),
        )

    def _settings(self) -> ServerSettings:
        serve = self._home.config.serve
        return ServerSettings(
            host=self._listening.host,
            port=self._listening.port,
            max_connections=serve.max_connections,
            max_running=serve.max_concurrent_requests,
            attempts_per_minute=float(serve.failed_attempts_per_minute),
        )

    def _make_room_for_connections(self) -> None:
        wanted = self._home.config.serve.max_connections + SPARE_DESCRIPTORS
        allowed = raise_descriptor_limit(wanted)
        if allowed < wanted:
            self._announce(f"warning: expected room for {wanted} open files, got {allowed}; see ulimit -n")

    async def _names(self) -> tuple[str, ...]:
        host = self._listening.host
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, self._listening.port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise Unavailable(f"the name {host!r} has no address: {error}", hint="listen on an address") from None
        bound = [str(address[4][0]).partition("%")[0] for address in found]
        return server_names(host, bound, (*self._listening.names, *self._home.config.serve.names))

    def _log_life(self, action: Action) -> None:
        fields: dict[str, Field] = {}
        if action is Action.SERVE_START:
            settings = hashlib.sha256((self._home.path / FILE_NAME).read_bytes()).hexdigest()
            fields = {"names": list(self._tls.names), "settings_sha256": settings}
            for finding in self._findings:
                fields["finding"] = finding.text
        event = self._requester.event(action, self._reference(), fields=fields)
        self._home.store.write(lambda transaction: transaction.log(event))

    def _reference(self) -> ObjectRef:
        return ObjectRef(type="server", id=f"{self._listening.host}:{self._listening.port}")
