"""Who a peer is, from the issuance table, kept in memory and dropped when the log says that it changed."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Collection, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from cryptography import x509

from ca.errors import CaError
from ca.identity import NodeIdentity, NodeRole, identity_of
from swarmsec.clock import Clock
from swarmsec.errors import Unauthenticated
from swarmsec.http import ANONYMOUS, Caller, Role, RoleKind
from swarmsec.services.nodes.renew_node import renews_itself
from swarmsec.services.records import CertificateRecord, CertificateStatus, SwarmRoot
from swarmsec.services.swarm.trust_swarm import issued_under
from swarmsec.storage.store import Store

MAX_KNOWN: Final = 65_536
MAX_ADDRESSES: Final = 4
"""That a certificate's bearer is remembered at; from others it is only slower."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A certificate that was looked up. ``former_root`` is set for a Swarm's own certificate. Unix seconds."""

    role: Role
    name: str
    cluster_id: str
    not_before: int
    not_after: int
    is_revoked: bool
    generation: int = 0
    """Of the root of ours that it stands under; 0 for a Swarm's own."""
    former_root: str | None = None
    row_id: int | None = None
    """Its row of the issuance table; None where it has none."""
    renews_itself: bool = False
    """Whether it is of one who renews it and follows rotations."""
    _callers: dict[str, Caller] = field(default_factory=dict, init=False, repr=False, compare=False)

    def caller_at(self, address: str, sha256: str, der: bytes) -> Caller:
        """Who asks from this address with this certificate; the same object for the same question."""
        caller = self._callers.get(address)
        if caller is None:
            caller = Caller(
                role=self.role,
                name=self.name,
                address=address,
                certificate_sha256=sha256,
                certificate_der=der,
                cluster_id=self.cluster_id,
            )
            if len(self._callers) < MAX_ADDRESSES:
                self._callers[address] = caller
        return caller


class IssuedIdentities:
    """Answers the server's ``Identities`` port.

    Args:
        store: the issuance table.
        clock: for the certificates' dates.
        cluster_id: ours; a Swarm's own certificate counts for this cluster alone.
        generations: of the roots of ours that count.
    """

    def __init__(self, store: Store, clock: Clock, cluster_id: str, generations: Collection[int]) -> None:
        self._store = store
        self._clock = clock
        self._cluster_id = cluster_id
        self._generations = frozenset(generations)
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._by_row: dict[int, str] = {}
        self._lookups: dict[str, asyncio.Task[Known]] = {}
        self._forgotten = 0
        self._followed = 0
        self._last_use: dict[str, int] = {}
        self.swarm_roots: Sequence[SwarmRoot] = ()
        self.reload_swarm_roots()

    def identify(self, certificate_der: bytes | None, address: str) -> Caller | Awaitable[Caller]:
        """Say who a peer is, at once where it is known.

        Raises:
            Unauthenticated: the certificate is not in the table, revoked, or outside its dates.
        """
        if certificate_der is None:
            return Caller(role=ANONYMOUS, name="", address=address)
        sha256 = _sha256_of(certificate_der)
        known = self._known.get(sha256)
        if known is None:
            return self._learn_and_tell(certificate_der, sha256, address)
        return self._tell(known, certificate_der, sha256, address)

    async def _learn_and_tell(self, certificate_der: bytes, sha256: str, address: str) -> Caller:
        return self._tell(await self._learn(certificate_der, sha256), certificate_der, sha256, address)

    def _tell(self, known: Known, certificate_der: bytes, sha256: str, address: str) -> Caller:
        self._verify_usable(known)
        if known.former_root is not None:
            self._last_use[known.former_root] = self._clock.monotonic_us()
        return known.caller_at(address, sha256, certificate_der)

    def former_root_of(self, caller: Caller) -> str | None:
        """The Swarm's own root that a caller's certificate stands under, or None."""
        if not self.swarm_roots or not caller.certificate_der:
            return None
        root = issued_under(x509.load_der_x509_certificate(caller.certificate_der), self.swarm_roots)
        return root.sha256 if root else None

    def known_of(self, caller: Caller) -> Known | None:
        """What was looked up of a caller's certificate, if it is still known."""
        return self._known.get(caller.certificate_sha256)

    def keep_issued(self, record: CertificateRecord) -> None:
        """Know a certificate that this server has just issued, without a look.

        Args:
            record: as it was in a transaction that is durable. What happened to the certificate since is told by later
                entries, so it is kept only as long as the one of its issue was not taken up.
        """
        known = _of_record(record) if record.id > self._followed else None
        if known is not None:
            self._keep(record.sha256.hex(), known)

    def revoked_among(self, ids: Collection[str]) -> list[str]:
        """The SHA-256 of those certificates, given by row id, that are revoked."""
        records = self._store.read(lambda transaction: transaction.certificates.by_ids([int(key) for key in ids]))
        return [record.sha256.hex() for record in records if record.status is CertificateStatus.REVOKED]

    def use(self, cluster_id: str, generations: Collection[int]) -> None:
        """Count a Swarm's own certificates for this cluster, and ours under these roots, and no others from now on."""
        # Roots are held against what is known at each request; another cluster makes other names of what is known.
        self._generations = frozenset(generations)
        if cluster_id != self._cluster_id:
            self._cluster_id = cluster_id
            self.forget_all()

    def forget_all(self) -> None:
        """Look everything up anew."""
        self._forgotten += 1
        self._known.clear()
        self._by_row.clear()
        # Who comes from now on is looked up anew, also where somebody else is waiting for the same certificate.
        self._lookups.clear()

    def forget_rows(self, ids: Collection[str], *, followed: int = 0) -> None:
        """Look the certificates of these rows up anew, and those that are being looked up at the moment.

        Args:
            followed: the highest row of which the log was read so far.
        """
        self._forgotten += 1
        self._followed = max(self._followed, followed)
        self._lookups.clear()
        for row_id in ids:
            self._known.pop(self._by_row.pop(int(row_id), ""), None)

    def reload_swarm_roots(self) -> None:
        """Take up the accepted Swarm roots anew."""
        self.accept_swarm_roots(self.read_swarm_roots())

    def read_swarm_roots(self) -> Sequence[SwarmRoot]:
        """The accepted Swarm roots as the store has them now."""
        return self._store.read(lambda transaction: tuple(transaction.swarm_roots.all()))

    def accept_swarm_roots(self, roots: Sequence[SwarmRoot]) -> None:
        """Count certificates under these roots from now on, and under no others."""
        self.swarm_roots = roots
        now = self._clock.monotonic_us()
        self._last_use = {root.sha256: self._last_use.get(root.sha256, now) for root in self.swarm_roots}
        self.forget_all()

    def quiet_roots(self, minutes: int) -> list[str]:
        """Accepted Swarm roots under which nobody came for this long."""
        since = self._clock.monotonic_us() - minutes * 60_000_000
        return [sha256 for sha256, last in self._last_use.items() if last <= since]

    async def _learn(self, der: bytes, sha256: str) -> Known:
        """Look a certificate up, once for all who ask for it meanwhile."""
        lookup = self._lookups.get(sha256)
        if lookup is None:
            lookup = self._lookups[sha256] = asyncio.create_task(self._look_up_and_keep(der, sha256))
            # Nobody may be left to hear of its error.
            lookup.add_done_callback(lambda done: done.cancelled() or done.exception())
        # One who goes away must not take the answer from the others.
        return await asyncio.shield(lookup)

    async def _look_up_and_keep(self, der: bytes, sha256: str) -> Known:
        before, lookup = self._forgotten, asyncio.current_task()
        try:
            known = await asyncio.to_thread(self._look_up, der, sha256)
        finally:
            if self._lookups.get(sha256) is lookup:
                del self._lookups[sha256]
        # What was read before a change came to light answers those who wait, and is not kept for the next.
        if before == self._forgotten:
            self._keep(sha256, known)
        return known

    def _keep(self, sha256: str, known: Known) -> None:
        self._known[sha256] = known
        if known.row_id is not None:
            self._by_row[known.row_id] = sha256
        while len(self._known) > MAX_KNOWN:
            _, dropped = self._known.popitem(last=False)
            self._by_row.pop(dropped.row_id or 0, None)

    def _look_up(self, der: bytes, sha256: str) -> Known:
        record = self._store.read(lambda transaction: transaction.certificates.by_sha256(bytes.fromhex(sha256)))
        known = _of_record(record) if record is not None else self._of_swarm(der)
        if known is None:
            raise Unauthenticated(
                "the client certificate is not one that this authority issued",
                hint="enrol with a join token, or get an identity with: swarmsec access add NAME --role ROLE --out DIR",
            )
        return known

    def _of_swarm(self, der: bytes) -> Known | None:
        certificate = x509.load_der_x509_certificate(der)
        root = issued_under(certificate, self.swarm_roots)
        if root is None:
            return None
        try:
            identity: NodeIdentity = identity_of(certificate)
        except CaError:
            return None
        if identity.cluster_id != self._cluster_id or identity.role is not NodeRole.MANAGER:
            return None
        return Known(
            role=Role(kind=RoleKind.SWARM_MANAGER, scope=identity.node_id),
            name=identity.node_id,
            cluster_id=identity.cluster_id,
            not_before=int(certificate.not_valid_before_utc.timestamp()),
            not_after=int(certificate.not_valid_after_utc.timestamp()),
            is_revoked=False,
            former_root=root.sha256,
        )

    def _verify_usable(self, known: Known) -> None:
        now = self._clock.unix_ms() // 1000
        if known.is_revoked:
            raise Unauthenticated("the client certificate is revoked", hint="enrol again with a new key")
        if known.generation and known.generation not in self._generations:
            raise Unauthenticated("the client certificate is of a root that was given up", hint="enrol again")
        if not known.not_before <= now < known.not_after:
            raise Unauthenticated("the client certificate is outside its dates", hint="check the clock, or enrol again")


@lru_cache(maxsize=1024)
def _sha256_of(certificate_der: bytes) -> str:
    """Lower-case hex; connections ask for that of the same octets again and again."""
    return hashlib.sha256(certificate_der).hexdigest()


def _of_record(record: CertificateRecord) -> Known | None:
    if not record.role:
        return None
    return Known(
        role=Role.parse(record.role),
        name=record.subject_id,
        cluster_id=record.cluster_id,
        not_before=record.not_before,
        not_after=record.not_after,
        is_revoked=record.status is CertificateStatus.REVOKED,
        generation=record.generation,
        row_id=record.id,
        renews_itself=renews_itself(record),
    )
