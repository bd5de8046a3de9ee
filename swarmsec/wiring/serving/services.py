"""The services behind the server's routes, each write going through the group writer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from cryptography import x509

from ca.cross_requests import CrossSignRequest
from ca.identity import NodeIdentity, NodeRole
from ca.pem import write_block
from ca.requests import RootRequest, SigningRequest
from ca.swarm_requests import SwarmRequest
from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import Actor, ObjectRef, Source
from swarmsec.clock import rfc3339_seconds, unix_seconds
from swarmsec.http import Caller, RoleKind
from swarmsec.keys.signers import SealedKeys
from swarmsec.keys.tokens import Tokens
from swarmsec.server.node_api import CheckAnswer, JoinAnswer, WaitAnswer
from swarmsec.server.ports import Check, Refusal
from swarmsec.services.ca.authority import Authority
from swarmsec.services.ca.list_certificates import list_certificates
from swarmsec.services.ca.sign_for_swarm import SwarmSigning, rows_of_signing, sign_for_swarm
from swarmsec.services.grouped import Grouped, Results
from swarmsec.services.nodes.hold_nodes import POLL_SECONDS
from swarmsec.services.nodes.join_node import JoinRequest, join_node
from swarmsec.services.nodes.node_records import HeldNode
from swarmsec.services.nodes.recover_node import RecoveryRequest, recover_node
from swarmsec.services.nodes.renew_node import Renewal, role_word, rows_of_renewal
from swarmsec.services.ports import Transaction
from swarmsec.services.records import CertificateRecord
from swarmsec.services.requester import Requester
from swarmsec.services.rotation.follow_rotation import must_renew, note_issued, refusal_of
from swarmsec.services.rotation.follow_together import Calling, Heard, Issued, note_calls, renew_together, rows_of_call
from swarmsec.services.swarm.cross_signing import cross_sign_for_swarm
from swarmsec.storage.groupwriter import GroupWriter
from swarmsec.storage.records import looks_of_issuing
from swarmsec.storage.store import Store
from swarmsec.wiring.serving.authorities import Authorities
from swarmsec.wiring.serving.identities import IssuedIdentities
from swarmsec.wiring.serving.rotationnews import NodeCall, RotationNews
from swarmsec.wiring.serving.turns import Turns
from swarmsec.wiring.serving.witnesses import ServedWitnesses

_MOST_ANSWERS: Final = 256
"""Kept worded; waits in a rotation are of at most a minute."""


def requester_of(caller: Caller, request_id: str) -> Requester:
    """A caller as the log names them."""
    actor, source = _as_logged(caller)
    return Requester(actor=actor, source=source, request_id=request_id)


@lru_cache(maxsize=1024)
def _as_logged(caller: Caller) -> tuple[Actor, Source]:
    anonymous = caller.role.kind is RoleKind.ANONYMOUS
    actor = Actor(
        type="anonymous" if anonymous else "certificate",
        id=caller.name or str(caller.role),
        auth=str(caller.role),
        certificate_sha256=caller.certificate_sha256,
    )
    return actor, Source(ip=caller.address)


@lru_cache(maxsize=1024)
def _manager_identity(cluster_id: str, node_id: str) -> NodeIdentity:
    return NodeIdentity(cluster_id=cluster_id, role=NodeRole.MANAGER, node_id=node_id)


def _call_of(caller: Caller, generation: int, roots_sha256: bytes) -> NodeCall:
    return NodeCall(
        node=caller.name,
        generation=generation,
        certificate_sha256=caller.certificate_sha256,
        roots_sha256=roots_sha256,
    )


class AuthorityServices:
    """Joining, renewing, signing and listing.

    Args:
        store, writer, keys, authorities, identities: this server's own.
        server_names: what its own certificate names; no node gets these.
        turns: at which pace nodes get certificates of another root.
        holds_managers: whether managers that join wait for approval.
    """

    def __init__(
        self,
        store: Store,
        writer: GroupWriter,
        keys: SealedKeys,
        authorities: Authorities,
        identities: IssuedIdentities,
        server_names: Sequence[str],
        turns: Turns,
        *,
        holds_managers: bool = False,
    ) -> None:
        self._store = store
        self._writer = writer
        self._keys = keys
        self._authorities = authorities
        self._identities = identities
        self._server_names = frozenset(server_names)
        self._holds_managers = holds_managers
        self._turns = turns
        self.news = RotationNews()
        """What nodes have said in the rotation that runs."""
        self.contacts: dict[str, int] = {}
        """When nodes called since somebody wrote it down, in Unix seconds, while a rotation runs."""
        self._answers: dict[tuple[str, bool, int], CheckAnswer] = {}
        """By the authority's epoch and what a node is told."""

    def root_bundle(self) -> bytes:
        """The exact PEM bundle that join tokens digest."""
        return self._authorities.current.bundle_pem

    async def join(
        self, caller: Caller, token: str, signing_request: SigningRequest, name: str | None, request_id: str
    ) -> JoinAnswer | WaitAnswer:
        """Redeem a token."""
        wanted = JoinRequest(
            token=token,
            signing_request=signing_request,
            node_name=name,
            reserved_names=self._server_names,
            holds_managers=self._holds_managers,
        )
        requester = requester_of(caller, request_id)

        def unit(transaction: Transaction) -> Issued | HeldNode:
            authority = self._authorities.at(transaction)
            record = join_node(transaction, self._keys, authority, wanted, requester)
            if isinstance(record, HeldNode):
                return record
            note_issued(transaction, authority, record, requester)
            return Issued(authority, record)

        issued = await self._writer.write(unit, looks_of_issuing(signing_request, subject_id=name or ""))
        return wait_answer(issued) if isinstance(issued, HeldNode) else self._answer(issued)

    async def renew(self, caller: Caller, signing_request: SigningRequest, request_id: str) -> JoinAnswer:
        """Renew the certificate that a node, driver or agent showed."""
        presented = bytes.fromhex(caller.certificate_sha256)
        asked = Renewal(caller.name, presented, signing_request, requester_of(caller, request_id))
        rows = rows_of_renewal(caller.name, signing_request)
        return self._answer(await self._writer.write(Grouped(self._renew_all, asked, rows)))

    def _renew_all(self, transaction: Transaction, asked: Sequence[Renewal]) -> Results[Issued]:
        return renew_together(transaction, self._authorities.at, asked)

    async def check(self, caller: Caller, roots_sha256: bytes, request_id: str) -> CheckAnswer:
        """Take up what a node says of itself, and tell it what to trust and whether to renew."""
        if self._identities.former_root_of(caller) is not None:
            # A manager under the Swarm's own root counts where it has certificates signed, and nowhere else.
            def refuse(_: Transaction) -> CheckAnswer:
                raise refusal_of(requester_of(caller, request_id))

            return await self._writer.write(refuse)
        authority = self._authorities.current
        if authority.rotation is None:
            return self._answered(authority)
        known = self._identities.known_of(caller)
        call = None if known is None or not known.renews_itself else _call_of(caller, known.generation, roots_sha256)
        if call is not None and self.news.is_none(authority, call):
            return self._next_for(authority, call, self._turns.pause())
        presented = bytes.fromhex(caller.certificate_sha256)
        calling = Calling(caller.name, presented, roots_sha256, requester_of(caller, request_id))
        heard = await self._writer.write(Grouped(self._note_all, calling, rows_of_call(caller.name)))
        call = _call_of(caller, heard.seen.presented.generation, roots_sha256)
        self.news.note(heard.authority, call)
        return self._next_for(heard.authority, call, self._turns.note_move())

    def _note_all(self, transaction: Transaction, calls: Sequence[Calling]) -> Results[Heard]:
        return note_calls(transaction, self._authorities.at, calls)

    def _next_for(self, authority: Authority, call: NodeCall, pause: int) -> CheckAnswer:
        """What a node is to trust and to do, once it is on record what it said.

        Args:
            pause: in how many seconds it should ask again if it waits for others.
        """
        self.contacts[call.node] = unix_seconds(self._store.clock)
        wait = self._turns.wait_for(call.node) if must_renew(authority, call.generation) else None
        if authority.rotation is None:
            pause = 0
        return self._answered(authority, renew=wait == 0, retry_after=pause if wait is None else wait)

    def _answered(self, authority: Authority, *, renew: bool = False, retry_after: int = 0) -> CheckAnswer:
        """The same answer to all who are told the same."""
        told = (authority.epoch, renew, retry_after)
        answer = self._answers.get(told)
        if answer is None:
            if len(self._answers) >= _MOST_ANSWERS:
                self._answers.clear()
            answer = self._answers[told] = check_answer(authority, renew=renew, retry_after=retry_after)
        return answer

    def _answer(self, issued: Issued) -> JoinAnswer:
        """Hand out a certificate that is on record; its bearer is known from now on."""
        self._identities.keep_issued(issued.record)
        return answer_of(issued.authority, issued.record)

    async def recover(
        self, caller: Caller, token: str, proof: SigningRequest | x509.Certificate, request_id: str
    ) -> JoinAnswer:
        """Bring back a node whose certificate has expired."""
        wanted = RecoveryRequest(token=token, proof=proof)
        requester = requester_of(caller, request_id)

        def unit(transaction: Transaction) -> Issued:
            authority = self._authorities.at(transaction)
            record = recover_node(transaction, self._keys, authority, wanted, requester)
            note_issued(transaction, authority, record, requester)
            return Issued(authority, record)

        return self._answer(await self._writer.write(unit))

    async def sign(
        self, caller: Caller, request: SwarmRequest, signing_request: SigningRequest, request_id: str
    ) -> bytes:
        """Sign for a manager of the Swarm."""
        identity = _manager_identity(caller.cluster_id, caller.role.scope)
        former_root = self._identities.former_root_of(caller)
        asked = SwarmSigning(identity, request, signing_request, requester_of(caller, request_id), former_root)
        return await self._writer.write(Grouped(self._sign_all, asked, rows_of_signing(request, signing_request)))

    def _sign_all(self, transaction: Transaction, asked: Sequence[SwarmSigning]) -> Results[bytes]:
        authority = self._authorities.at(transaction)
        for record in sign_for_swarm(transaction, authority, asked):
            yield authority.chain_pem(record) if isinstance(record, CertificateRecord) else record

    async def cross_sign(
        self, caller: Caller, request: CrossSignRequest, root_request: RootRequest, request_id: str
    ) -> bytes:
        """Sign the root of a Swarm that leaves."""
        identity = _manager_identity(caller.cluster_id, caller.role.scope)
        requester = requester_of(caller, request_id)
        der = await self._writer.write(
            lambda transaction: cross_sign_for_swarm(
                transaction, self._authorities.at(transaction), identity, request, root_request, requester
            )
        )
        return write_block(der, "CERTIFICATE")

    async def refuse_to_sign(self, caller: Caller, reason: str, request_id: str) -> None:
        """Record a request of a manager that could not be meant."""
        target = ObjectRef(type="certificate")
        requester = requester_of(caller, request_id)
        event = requester.event(Action.CA_ISSUE, target, outcome=Outcome.DENIED, reason=reason)
        await self._writer.write(lambda transaction: transaction.log(event))

    async def certificates(self) -> Sequence[Mapping[str, object]]:
        """Every certificate, as ``swarmsec ca list --json`` shows them."""
        return await asyncio.to_thread(self._certificates)

    async def policies(self) -> Sequence[Mapping[str, object]]:
        """Policy documents in force."""
        return await asyncio.to_thread(self._policies)

    def _certificates(self) -> list[Mapping[str, object]]:
        return self._store.read(lambda transaction: [item.members() for item in list_certificates(transaction)])

    def _policies(self) -> list[Mapping[str, object]]:
        active = self._store.read(lambda transaction: transaction.policies.active())
        return [
            {
                "kind": record.kind,
                "name": record.name,
                "version": record.version,
                "sha256": record.document_sha256,
                "applied": rfc3339_seconds(record.applied),
            }
            for record in active
        ]


def answer_of(authority: Authority, record: CertificateRecord) -> JoinAnswer:
    """What a node gets that was given a certificate."""
    return JoinAnswer(
        node_id=record.subject_id,
        role=role_word(record),
        certificate=authority.chain_pem(record).decode("ascii"),
        root_bundle=authority.trusted_pem.decode("ascii"),
        cross_signed=authority.cross_signed_pem.decode("ascii"),
    )


def wait_answer(held: HeldNode) -> WaitAnswer:
    """What a node gets that has to wait for approval."""
    return WaitAnswer(
        pending=True, node_id=held.node_id, spki_sha256=held.spki_sha256.hex(), retry_after_seconds=POLL_SECONDS
    )


def check_answer(authority: Authority, *, renew: bool = False, retry_after: int = 0) -> CheckAnswer:
    """What a node gets that asked what to trust."""
    return CheckAnswer(
        root_bundle=authority.trusted_pem.decode("ascii"),
        cross_signed=authority.cross_signed_pem.decode("ascii"),
        renew=renew,
        retry_after=retry_after,
        phase="" if authority.rotation is None else authority.rotation.phase,
    )


class LoggedRefusals:
    """Answers the server's ``RefusalLog`` port."""

    def __init__(self, writer: GroupWriter) -> None:
        self._writer = writer

    async def record(self, refusal: Refusal) -> None:
        """Return once the refusal is durable."""
        actor = Actor(
            type="certificate" if refusal.certificate_sha256 else "anonymous",
            id=refusal.name or refusal.role or "unknown",
            auth=refusal.role,
            certificate_sha256=refusal.certificate_sha256,
        )
        requester = Requester(actor=actor, source=Source(ip=refusal.address), request_id=refusal.request_id)
        event = requester.event(
            Action.REQUEST_REFUSE,
            ObjectRef(type="route", id=refusal.route),
            outcome=Outcome.DENIED,
            reason=refusal.reason,
            fields={"count": refusal.count},
        )
        await self._writer.write(lambda transaction: transaction.log(event))


class HomeReadiness:
    """Answers the server's ``Readiness`` port: whether the store answers, takes writes, and its anchor moves.

    Where the root key is in a token, a further check says whether the token did what it was asked last.
    """

    def __init__(
        self, store: Store, writer: GroupWriter, tokens: Tokens, witnesses: ServedWitnesses | None = None
    ) -> None:
        self._store = store
        self._writer = writer
        self._tokens = tokens
        self._witnesses = witnesses

    async def checks(self) -> Sequence[Check]:
        """Every check."""
        checks = [await asyncio.to_thread(self._store_check), self._write_check(), self._anchor_check()]
        if self._witnesses is not None and self._witnesses.detail:
            # The log is kept without them: whoever looks is told, and nobody is refused anything.
            checks.append(Check(name="witnesses", ok=True, detail=self._witnesses.detail))
        return [*checks, self._token_check()] if self._tokens.access.module else checks

    def _store_check(self) -> Check:
        try:
            head = self._store.head()
        except Exception as error:  # noqa: BLE001  # whatever is wrong with the store, it is not ready
            return Check(name="store", ok=False, detail=str(error))
        return Check(name="store", ok=True, detail=f"{head.size} log entries")

    def _write_check(self) -> Check:
        failure = self._writer.failure
        return Check(name="writes", ok=failure is None, detail="" if failure is None else str(failure))

    def _token_check(self) -> Check:
        failure = self._tokens.failure
        return Check(name="token", ok=not failure, detail=failure)

    def _anchor_check(self) -> Check:
        failing = self._store.is_anchor_failing
        return Check(name="anchor", ok=not failing, detail="the rollback anchor cannot be written" if failing else "")
