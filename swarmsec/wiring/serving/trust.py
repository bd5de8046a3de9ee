"""The trust repository behind the server's routes: what is published, signing, and signing again in time."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from notary.changefiles import SignaturesFile
from notary.errors import InvalidDigest
from notary.images import PlatformEntry, SignedImage
from notary.reference import Digest, ImageReference
from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import Actor, ObjectRef
from swarmsec.errors import Denied, UsageProblem
from swarmsec.http import Caller, RoleKind
from swarmsec.keys.signers import SealedKeys
from swarmsec.openedfile import open_to_read
from swarmsec.server.metrics import Metrics
from swarmsec.server.trust_api import SignAnswer, SignBody
from swarmsec.services.ports import Refusal, Transaction
from swarmsec.services.requester import SERVICE, Requester
from swarmsec.services.trust.ci_tokens import SpentToken, spend_ci_token
from swarmsec.services.trust.oidc_tokens import MAX_FILE, Issuer, issuer_of_token, parse_issuers, spend_oidc_token
from swarmsec.services.trust.pending_changes import add_signatures, change_file, documents_of, find_change
from swarmsec.services.trust.publish_trust import Published
from swarmsec.services.trust.refresh_trust import is_refresh_due, refresh_if_due
from swarmsec.services.trust.sign_image import NamedImage, named_image, sign_image
from swarmsec.services.trust.trust_records import PendingChange
from swarmsec.services.trust.trust_status import expiries, pending_members
from swarmsec.storage.groupwriter import GroupWriter
from swarmsec.storage.store import Store
from swarmsec.wiring.homes.home import Home
from swarmsec.wiring.serving.services import requester_of
from swarmsec.wiring.trust.publishing import StoredMetadata


class ServedTrust:
    """Answers the server's ``PublishedFiles`` and ``TrustService`` ports, and keeps the repository fresh.

    Args:
        store, writer, keys: this server's own.
        issuers: of identities of CI that may sign, by name.
    """

    def __init__(
        self, store: Store, writer: GroupWriter, keys: SealedKeys, issuers: Mapping[str, Issuer] | None = None
    ) -> None:
        self._issuers = issuers or {}
        self._store = store
        self._writer = writer
        self._keys = keys
        self._files = StoredMetadata(store)

    async def published(self, name: str) -> bytes | None:
        """A published file, or None."""
        return await asyncio.to_thread(self._files.get, name)

    async def sign(self, caller: Caller, body: SignBody, request_id: str) -> SignAnswer:
        """Sign an image for a signer of its repository, or for who brings a token for it."""
        named, requester = _named(body), requester_of(caller, request_id)

        def unit(transaction: Transaction) -> Published | PendingChange:
            acting = requester
            if body.token is not None:
                spent = self._spend(transaction, requester, body.token, named.repository)
                acting = replace(requester, actor=Actor(type="token", id=spent.token_id, auth=named.repository))
            else:
                _verify_signer(caller, requester, named.repository)
            try:
                return sign_image(transaction, self._keys, acting, named)
            except Denied as error:
                raise _refused(acting, named.repository, error) from None

        outcome = await self._writer.write(unit)
        change = outcome.change_id if isinstance(outcome, PendingChange) else None
        return SignAnswer(image=str(named), digest=str(named.image.digest), published=change is None, change=change)

    def _spend(self, transaction: Transaction, requester: Requester, token: str, repository: str) -> SpentToken:
        issuer = issuer_of_token(self._issuers, token) if self._issuers else None
        if issuer is not None:
            return spend_oidc_token(transaction, issuer, requester, token, repository)
        return spend_ci_token(transaction, self._keys, requester, token, repository)

    async def pending(self, caller: Caller) -> Sequence[Mapping[str, Any]]:
        """What waits for signatures; a signer of a repository sees that repository's."""
        return await asyncio.to_thread(self._pending, caller)

    async def bring(self, caller: Caller, brought: SignaturesFile, request_id: str) -> bool:
        """Take signatures; True if they were the last ones needed."""
        requester = requester_of(caller, request_id)

        def unit(transaction: Transaction) -> bool:
            change = find_change(transaction, brought.change_id)
            if not _may_see(caller, change):
                raise _refused(requester, brought.change_id, Denied("this change is of another repository"))
            outcome = add_signatures(transaction, self._keys, requester, brought.change_id, brought.signatures)
            return isinstance(outcome, Published)

        return await self._writer.write(unit)

    async def refresh(self) -> None:
        """Sign again what is due."""
        if await asyncio.to_thread(self._store.read, is_refresh_due):
            await self._writer.write(lambda transaction: refresh_if_due(transaction, self._keys, SERVICE))

    async def observe(self, metrics: Metrics) -> None:
        """Show when roles end and what waits."""
        ends, due, waiting = await asyncio.to_thread(self._store.read, _figures)
        for role, unix in ends.items():
            metrics.trust_not_after.labels(role).set(unix)
        for within, count in due.items():
            metrics.trust_due.labels(within).set(count)
        metrics.trust_pending.set(waiting)

    def _pending(self, caller: Caller) -> list[Mapping[str, Any]]:
        with self._store.reading() as transaction:
            return [
                {
                    **pending_members(transaction, change),
                    "file": base64.b64encode(change_file(transaction, change).encode()).decode("ascii"),
                }
                for change in transaction.trust.changes.all()
                if _may_see(caller, change)
            ]


def issuers_of(home: Home) -> Mapping[str, Issuer]:
    """The identities of CI that this home's settings let sign; the files lie beside the settings unless named in full.

    Raises:
        UsageProblem: the rules or a key set cannot be meant, or are missing.
    """
    name = home.config.trust.oidc
    if not name:
        return {}

    def read(file: str) -> bytes:
        try:
            with open_to_read(home.path / file) as opened:
                return opened.read(MAX_FILE + 1)
        except OSError as error:
            raise UsageProblem(f"{home.path / file} could not be read: {error.strerror}") from None

    return parse_issuers(read(name), read)


def _figures(transaction: Transaction) -> tuple[dict[str, int], dict[str, int], int]:
    return *expiries(transaction), len(transaction.trust.changes.all())


def _verify_signer(caller: Caller, requester: Requester, repository: str) -> None:
    if caller.role.kind is RoleKind.ANONYMOUS:
        raise _refused(
            requester, repository, Denied("expected a token or a client certificate", hint="set SWARMSEC_TOKEN")
        )
    if caller.role.kind is RoleKind.SIGNER and caller.role.scope != repository:
        raise _refused(requester, repository, Denied(f"role {caller.role} may not sign for {repository[:200]}"))


def _refused(requester: Requester, repository: str, error: Denied) -> Refusal:
    target = ObjectRef(type="trust-role", id=repository)
    event = requester.event(Action.TRUST_PUBLISH, target, outcome=Outcome.DENIED, reason=str(error))
    return Refusal(error, event)


def _may_see(caller: Caller, change: PendingChange) -> bool:
    if caller.role.kind is not RoleKind.SIGNER:
        return True
    return {document.role for document in documents_of(change)} == {caller.role.scope}


def _named(body: SignBody) -> NamedImage:
    try:
        platforms = tuple(
            PlatformEntry(
                os=item.os, architecture=item.architecture, variant=item.variant, digest=Digest.parse(item.digest)
            )
            for item in body.platforms
        )
        digest = Digest.parse(body.digest)
    except InvalidDigest as error:
        raise UsageProblem(str(error)) from None
    image = SignedImage(digest=digest, size=body.size, media_type=body.media_type, platforms=platforms)
    return named_image(ImageReference.parse(body.image), image)
