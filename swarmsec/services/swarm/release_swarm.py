"""Giving a Swarm back to Docker's own authority: what is kept and logged, and how its specification changes.

The Swarm gets a root of its own with its key, which from then on is in its managers' raft log, as Docker has it. The
key is made here and handed over once; only the root itself is kept, so that a repeated command knows the work again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from cryptography import x509

from ca.bundle import parse_bundle
from ca.issuing import fingerprint
from ca.revocation import Reason
from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.canonical import encode_canonical, parse_canonical
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import unix_seconds
from swarmsec.errors import Changed, Denied, IntegrityFailure
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.ca.revoke_certificates import revoke_certificates
from swarmsec.services.ports import Transaction
from swarmsec.services.records import CertificateStatus, Intent
from swarmsec.services.requester import Requester
from swarmsec.services.swarm.adopt_swarm import is_of
from swarmsec.services.swarm.convergence import issuer_of
from swarmsec.services.swarm.cross_signing import close_cross_signing, open_cross_signing
from swarmsec.services.swarm.swarm_link import LinkState, SwarmLink, require_link, save_link
from swarmsec.services.swarm.swarm_ports import ChangeSpec, Spec
from swarmsec.services.swarm.swarm_records import SwarmNode, SwarmState

ACTION = Action.SWARM_RELEASE.value
OPEN_FOR = timedelta(minutes=10)
"""How long the Swarm's root may be signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The work: the Swarm, and the root that it gets, PEM."""

    cluster_id: str
    root_pem: str

    @property
    def root(self) -> x509.Certificate:
        """The root that the Swarm gets."""
        (root,) = parse_bundle(self.root_pem.encode())
        return root


def begun_release(transaction: Transaction) -> Release | None:
    """The release that is under way, or None.

    Raises:
        NotFound: this home has no Swarm.
        IntegrityFailure: what is kept of it is not readable.
    """
    link = require_link(transaction)
    if link.state is not LinkState.RELEASING:
        return None
    for intent in transaction.intents.all():
        if intent.request_id == link.request_id:
            match parse_canonical(intent.data.encode()):
                case {"cluster_id": str(cluster_id), "root": str(root)}:
                    return Release(cluster_id=cluster_id, root_pem=root)
    raise IntegrityFailure("expected what is kept of the Swarm's release, got none")


def begin_release(
    transaction: Transaction, release: Release, spki_sha256: str, requester: Requester, request_id: str
) -> None:
    """Put the beginning on record and permit the Swarm's root; one that never reached the Swarm is replaced."""
    link = require_link(transaction)
    if link.state is LinkState.RELEASING:
        transaction.intents.close(link.request_id)
        request_id = link.request_id
    data = encode_canonical({"cluster_id": release.cluster_id, "root": release.root_pem}).decode()
    started = unix_seconds(transaction.clock)
    transaction.intents.open(Intent(request_id=request_id, action=ACTION, started=started, data=data))
    save_link(transaction, replace(link, state=LinkState.RELEASING, request_id=request_id))
    asking = replace(requester, request_id=request_id)
    fields = {"root_spki_sha256": spki_sha256}
    transaction.log(asking.event(Action.SWARM_RELEASE, _reference(release), outcome=Outcome.INTENT, fields=fields))
    until = unix_seconds(transaction.clock) + round(OPEN_FOR.total_seconds())
    open_cross_signing(transaction, asking, spki_sha256=spki_sha256, until=until)


def conclude_release(
    transaction: Transaction,
    release: Release,
    nodes: Sequence[SwarmNode],
    requester: Requester,
    *,
    failure: str = "",
) -> None:
    """Put the end on record; what the nodes had from us is revoked, because they have other certificates now.

    Args:
        failure: why the Swarm was not changed; it stays with us then.
    """
    link = require_link(transaction)
    if link.state is not LinkState.RELEASING:
        return
    asking = replace(requester, request_id=link.request_id)
    close_cross_signing(transaction, asking)
    for node in nodes if not failure else ():
        known = transaction.certificates.by_subject(node.id)
        if any(record.status is not CertificateStatus.REVOKED for record in known):
            revoke_certificates(transaction, node.id, asking, why=Reason.SUPERSEDED, reason="the Swarm was released")
    transaction.intents.close(link.request_id)
    save_link(transaction, _ended(link, failure))
    outcome = Outcome.FAILURE if failure else Outcome.SUCCESS
    fields: Mapping[str, int] = {} if failure else {"nodes": len(nodes)}
    transaction.log(
        asking.event(Action.SWARM_RELEASE, _reference(release), outcome=outcome, reason=failure, fields=fields)
    )


def change_for_release(release: Release, key_pem: SecretBytes) -> ChangeSpec:
    """The change that begins it: the Swarm's own root with its key; our endpoint stays, to sign that root once."""

    def change(state: SwarmState, spec: Spec) -> Spec:
        if state.id != release.cluster_id:
            raise Changed(f"expected the Swarm {release.cluster_id}, got {state.id}", hint="repeat the command")
        if state.is_rotating and state.issuer != issuer_of(release.root):
            raise Denied("the Swarm's root is being rotated already", hint="wait for it: swarmsec swarm status")
        key = key_pem.reveal().decode("ascii")
        authority = {**(spec.get("CAConfig") or {}), "SigningCACert": release.root_pem, "SigningCAKey": key}
        return {**spec, "CAConfig": authority}

    return change


def change_without(root_pem: str) -> ChangeSpec:
    """The change that ends it: our endpoint goes from the specification."""

    def change(state: SwarmState, spec: Spec) -> Spec:
        present = spec.get("CAConfig") or {}
        others = [item for item in present.get("ExternalCAs") or [] if not is_of(item, root_pem)]
        return {**spec, "CAConfig": {**present, "ExternalCAs": others}}

    return change


def _ended(link: SwarmLink, failure: str) -> SwarmLink:
    return replace(link, state=LinkState.ADOPTED if failure else LinkState.RELEASED, request_id="")


def _reference(release: Release) -> ObjectRef:
    return ObjectRef(type="swarm", id=release.cluster_id, name=fingerprint_of_pem(release.root_pem))


def fingerprint_of_pem(root_pem: str) -> str:
    """A root's SHA-256, lower-case hex."""
    from cryptography.hazmat.primitives.serialization import Encoding

    (root,) = parse_bundle(root_pem.encode())
    return fingerprint(root.public_bytes(Encoding.DER))
