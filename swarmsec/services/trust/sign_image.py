"""Sign images, take signatures back, and carry them from one name to another.

The digest is resolved before, from bytes that we hashed ourselves. What is published is that this name means this
digest from now on; a tag that is signed again means the new digest, and the old one is no longer vouched for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from notary.images import SignedImage, digest_of_target, image_target, revocation_target
from notary.reference import Digest, ImageReference
from notary.repository import build_images
from notary.roles import PERIODS, REVOCATIONS, revoked_path, target_path
from notary.signing import Document
from swarmsec.audit.entry import ObjectRef
from swarmsec.errors import Denied, NotFound, UsageProblem
from swarmsec.services.ports import Keys, Transaction
from swarmsec.services.requester import Requester
from swarmsec.services.trust.delegate_repository import Delegation, add_delegation, images_in_force
from swarmsec.services.trust.pending_changes import Proposal, carry_out, pending_document
from swarmsec.services.trust.publish_trust import Published
from swarmsec.services.trust.trust_records import PendingChange
from swarmsec.services.trust.trust_state import (
    current_document,
    is_everything_embedded,
    moment,
    quorum_of,
    verify_initialised,
)

IMAGE: Final = "image"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedImage:
    """An image under the name that it is signed for."""

    repository: str
    tag: str
    image: SignedImage

    def __str__(self) -> str:
        return f"{self.repository}:{self.tag}"


def named_image(reference: ImageReference, image: SignedImage) -> NamedImage:
    """Name an image.

    Raises:
        UsageProblem: the reference has no tag, so there is nothing that could mean the digest.
    """
    if reference.tag is None:
        raise UsageProblem(f"expected a tag to sign, got {str(reference)[:200]!r}", hint="write it as NAME:TAG")
    return NamedImage(repository=reference.repository, tag=reference.tag, image=image)


def ensure_delegated(transaction: Transaction, keys: Keys, requester: Requester, repository: str) -> bool:
    """Delegate a repository on its first sign, where this home alone decides; returns whether it was new.

    Raises:
        Denied: others must sign the delegation.
        NotFound: there is no trust repository in this home.
    """
    verify_initialised(transaction)
    row = transaction.trust.roles.get(repository)
    if row is not None and row.keyids:
        return False
    if not is_everything_embedded(transaction):
        raise not_delegated(repository)
    add_delegation(transaction, keys, requester, Delegation(repository=repository))
    return True


def not_delegated(repository: str) -> Denied:
    """The refusal to sign for a repository that nobody was made a signer of."""
    return Denied(
        f"nobody signs for {repository} yet: the signers of the top-level targets must delegate it",
        hint=f"delegate it: swarmsec trust delegate add {repository}",
    )


def sign_image(
    transaction: Transaction, keys: Keys, requester: Requester, named: NamedImage
) -> Published | PendingChange:
    """Say what a tag means from now on.

    Raises:
        Denied: the digest is revoked, or nobody signs for the repository.
        ChangeRefused: something of the image cannot be signed.
    """
    verify_initialised(transaction)
    verify_not_revoked(transaction, named.image.digest)
    path = target_path(named.repository, named.tag)
    images = {**_images(transaction, named.repository), path: image_target(named.image, signed=moment(transaction))}
    proposal = Proposal(
        summary=f"{named} is {named.image.digest}",
        documents=(_next_document(transaction, named.repository, images),),
        target=ObjectRef(type=IMAGE, id=str(named)),
        fields={"digest": str(named.image.digest)},
    )
    return carry_out(transaction, keys, requester, proposal)


def promote_image(
    transaction: Transaction, keys: Keys, requester: Requester, source: ImageReference, wanted: NamedImage
) -> Published | PendingChange:
    """Sign under another name what a name means now.

    Args:
        transaction: of the home.
        keys: the sealed store.
        requester: who asks.
        source: the name that is signed.
        wanted: the new name with what its own registry has there.

    Raises:
        Denied: the source is not signed, or means another digest.
    """
    known = signed_digest(transaction, source, moment(transaction))
    if known != wanted.image.digest:
        raise Denied(f"expected {wanted} to be {known} as {source} is, got {wanted.image.digest}")
    return sign_image(transaction, keys, requester, wanted)


def signed_digest(transaction: Transaction, reference: ImageReference, now: datetime) -> Digest:
    """What a name is signed to mean now.

    Raises:
        Denied: nothing, no longer, or what is revoked.
    """
    verify_initialised(transaction)
    row = transaction.trust.roles.get(reference.repository)
    members = _images(transaction, reference.repository).get(target_path(reference.repository, reference.tag or ""))
    if row is None or members is None or row.expires <= now.timestamp():
        raise Denied(f"{reference} is not signed", hint=f"sign it first with: swarmsec image sign {reference}")
    digest = digest_of_target(members)
    verify_not_revoked(transaction, digest)
    return digest


def revoke_image(
    transaction: Transaction, keys: Keys, requester: Requester, reference: ImageReference, *, reason: str
) -> list[Published | PendingChange]:
    """Take back a digest for good: by what a tag means, or by the digest itself.

    The revocation holds in every repository at once, with the service's own key. The tags of this repository that mean
    the digest are taken out as well; that may wait for other signers.

    Raises:
        NotFound: the tag is not signed.
        ChangeRefused: the reason cannot be signed.
    """
    verify_initialised(transaction)
    images = _images(transaction, reference.repository)
    digest, size = _to_revoke(reference, images)
    paths = [path for path, members in images.items() if members["hashes"]["sha256"] == digest.hex]
    target = ObjectRef(type=IMAGE, id=str(reference))
    fields = {"digest": str(digest), "reason": reason}
    names = [f"{path.rpartition('/')[0]}:{path.rpartition('/')[2]}" for path in paths]
    revocation = revocation_target(digest, size=size, reason=reason, references=names, revoked=moment(transaction))
    revoked = {**_revoked(transaction), revoked_path(digest): revocation}
    proposals = [
        Proposal(
            summary=f"revoke {digest}",
            documents=(_next_document(transaction, REVOCATIONS, revoked),),
            target=target,
            fields=fields,
        )
    ]
    if paths:
        staying = {path: members for path, members in images.items() if path not in paths}
        document = _next_document(transaction, reference.repository, staying)
        proposals.append(
            Proposal(summary=f"take out {', '.join(names)[:200]}", documents=(document,), target=target, fields=fields)
        )
    return [carry_out(transaction, keys, requester, proposal) for proposal in proposals]


def verify_not_revoked(transaction: Transaction, digest: Digest) -> None:
    """Refuse a digest that was taken back.

    Raises:
        Denied: it was.
    """
    revocation = _revoked(transaction).get(revoked_path(digest))
    if revocation is not None:
        reason = str(revocation["custom"]["reason"])
        raise Denied(f"{digest} is revoked{': ' + reason if reason else ''}", hint="build and sign a new image")


def _to_revoke(reference: ImageReference, images: Mapping[str, Mapping[str, Any]]) -> tuple[Digest, int]:
    if reference.digest is not None:
        size = next((m["length"] for m in images.values() if m["hashes"]["sha256"] == reference.digest.hex), 0)
        return reference.digest, int(size)
    members = images.get(target_path(reference.repository, reference.tag or "latest"))
    if members is None:
        raise NotFound(f"{reference} is not signed", hint="name the digest: NAME@sha256:…")
    return digest_of_target(members), int(members["length"])


def _images(transaction: Transaction, repository: str) -> Mapping[str, Mapping[str, Any]]:
    """What the repository's role says, or will once a change that waits is signed."""
    waiting = pending_document(transaction, repository)
    if waiting is not None:
        images: Mapping[str, Mapping[str, Any]] = waiting.body["targets"]
        return images
    row = transaction.trust.roles.get(repository)
    if row is None or not row.keyids:
        raise not_delegated(repository)
    return images_in_force(transaction, repository, quorum_of(transaction, repository))


def _revoked(transaction: Transaction) -> Mapping[str, Mapping[str, Any]]:
    document = current_document(transaction, REVOCATIONS)
    revoked: Mapping[str, Mapping[str, Any]] = {} if document is None else document.body["targets"]
    return revoked


def _next_document(transaction: Transaction, role: str, images: Mapping[str, Mapping[str, Any]]) -> Document:
    row = transaction.trust.roles.get(role)
    body = build_images(
        images, version=1 if row is None else row.version + 1, expires=moment(transaction) + PERIODS.repository
    )
    return Document(role=role, body=body, signatures={})
