"""Which digest an image reference means, and who says so: fresh metadata and a reference in, a verified value out.

A repository's own role answers for it and no other: an answer that comes from another role, because a pattern reaches
too far or the top level names an image itself, is refused. Whatever is answered is held against the revoked digests.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from tuf.api.metadata import TargetFile, Targets

from notary.errors import InvalidMetadata, NotSigned, NotTrusted, Revoked, UntrustedMetadata
from notary.following import Found, FreshMetadata
from notary.manifest import Manifest
from notary.reference import DEFAULT_TAG, Digest, ImageReference
from notary.roles import REVOCATIONS, REVOKED_PREFIX, TARGETS
from notary.vouching import Vouched, parse_target

CLOCK_TOLERANCE: Final = timedelta(minutes=5)
"""How far ahead of this machine's clock a signer's may be."""
_MAX_REASON: Final = 200


def vouch_for(metadata: FreshMetadata, reference: ImageReference) -> Vouched:
    """Find what is signed about an image.

    A tag means what its target says. A digest beside it must be that one, or one of its platforms. A digest alone must
    be signed under some tag of the repository.

    Args:
        metadata: fresh; roles are loaded from it.
        reference: without tag and digest it means the tag ``latest``.

    Raises:
        NotSigned: nobody vouches for it.
        Revoked: its digest, or one of its platforms, was revoked.
        NotTrusted: the metadata on the way is wrong.
        MetadataMissing: it cannot be had.
    """
    if reference.digest is not None:
        # First of all: the tags of a revoked digest are taken out, and it is more than one that nobody signed.
        verify_not_revoked(metadata, [reference.digest])
    if reference.tag is None and reference.digest is not None:
        vouched = _by_digest(metadata, reference, reference.digest)
    else:
        vouched = _by_tag(metadata, reference)
    digests = vouched.digests if reference.digest is None else {vouched.digest, reference.digest}
    verify_not_revoked(metadata, digests)
    return vouched


def verify_not_revoked(metadata: FreshMetadata, digests: Iterable[Digest]) -> None:
    """Hold digests against the revocations.

    Raises:
        Revoked: names the first that is revoked, with the reason.
        UntrustedMetadata: another role than that of the revocations answers.
    """
    for digest in digests:
        found = metadata.find(f"{REVOKED_PREFIX}{digest.hex}")
        if found is None:
            continue
        if (found.role, found.delegator) != (REVOCATIONS, TARGETS):
            raise UntrustedMetadata(f"expected {REVOCATIONS} to speak of revoked digests, got {found.role!a}")
        custom = found.target.get("custom")
        reason = custom.get("reason") if isinstance(custom, dict) else None
        told = f": {ascii(reason[:_MAX_REASON])[1:-1]}" if isinstance(reason, str) and reason else ""
        raise Revoked(f"{digest} was revoked{told}", hint="use an image that was not")


def verify_bytes(vouched: Vouched, manifest: Manifest, reference: ImageReference) -> None:
    """Hold what a registry gave against what is signed.

    Args:
        vouched: from ``vouch_for`` for the same reference.
        manifest: parsed from the bytes that the registry gives for the reference.
        reference: the reference.

    Raises:
        NotTrusted: digest, size, media type or platforms are other than signed.
    """
    if manifest.digest != vouched.digest:
        _verify_child(vouched, manifest, reference)
        return
    if manifest.size != vouched.size:
        raise NotTrusted(f"expected {vouched.size} bytes, as signed, got {manifest.size}")
    if vouched.media_type is not None and manifest.media_type is not vouched.media_type:
        raise NotTrusted(f"expected {vouched.media_type}, as signed, got {manifest.media_type}")
    listed = {(child.platform, child.digest) for child in manifest.platforms}
    extra = {(entry.platform, entry.digest) for entry in vouched.platforms} - listed
    if extra:
        raise NotTrusted("expected the platforms that are signed, got an index without one of them")


def verify_age(vouched: Vouched, *, max_age: timedelta | None, now: datetime) -> None:
    """Hold the time of signing against a policy.

    Raises:
        NotTrusted: too old, not said although it matters, or in the future.
    """
    if vouched.signed is None:
        if max_age is None:
            return
        raise NotTrusted("expected a signature that says when it was made, got one that does not")
    if vouched.signed > now + CLOCK_TOLERANCE:
        raise NotTrusted(f"expected a signature of the past, got one of {vouched.signed:%Y-%m-%dT%H:%M:%SZ}")
    if max_age is not None and now - vouched.signed > max_age:
        raise NotTrusted(
            f"expected a signature of the last {_days(max_age)}, got one of {vouched.signed:%Y-%m-%dT%H:%M:%SZ}",
            hint="sign the image again: swarmsec image sign REF",
        )


def verify_signers(vouched: Vouched, minimum: int) -> None:
    """Hold the number of different keys that signed against a policy.

    Raises:
        NotTrusted: there are fewer.
    """
    if len(vouched.signers) < minimum:
        raise NotTrusted(f"expected {minimum} different signers, got {len(vouched.signers)}")


def tags_of(metadata: FreshMetadata, repository: str) -> list[Vouched]:
    """Every signed tag of a repository, sorted by tag; empty where nothing is signed.

    Raises:
        NotTrusted, MetadataMissing: as ``vouch_for``.
    """
    role = metadata.role_of(repository, f"{repository}/{DEFAULT_TAG}")
    if role is None:
        return []
    return [_of_role(role, repository, path) for path in sorted(role[0].targets) if _is_own(repository, path)]


def _by_tag(metadata: FreshMetadata, reference: ImageReference) -> Vouched:
    tag = reference.tag or DEFAULT_TAG
    path = f"{reference.repository}/{tag}"
    found = metadata.find(path)
    if found is None:
        raise _unsigned(f"{reference.repository}:{tag}")
    vouched = _parsed(found, reference.repository, path)
    if reference.digest is not None and reference.digest not in vouched.digests:
        raise NotTrusted(
            f"expected {vouched.digest}, which is what {tag} means, got {reference.digest}",
            hint="pin it anew: swarmsec image verify --pin REF",
        )
    return vouched


def _by_digest(metadata: FreshMetadata, reference: ImageReference, digest: Digest) -> Vouched:
    """The first tag, by name, that means the digest. A repository may have thousands: only those are read whole."""
    repository = reference.repository
    role = metadata.role_of(repository, f"{repository}/{DEFAULT_TAG}")
    if role is not None:
        targets = role[0].targets
        for path in sorted(path for path in targets if _may_mean(targets[path], digest) and _is_own(repository, path)):
            vouched = _of_role(role, repository, path)
            if digest in vouched.digests:
                return vouched
    raise _unsigned(str(reference))


def _may_mean(target: TargetFile, digest: Digest) -> bool:
    return digest.hex in target.hashes.values() or str(digest) in str(target.custom)


def _verify_child(vouched: Vouched, manifest: Manifest, reference: ImageReference) -> None:
    """A platform of a signed index counts where exactly it was asked for by digest."""
    if reference.digest != manifest.digest or manifest.digest not in vouched.digests:
        raise NotTrusted(
            f"expected {vouched.digest}, as signed, got {manifest.digest} from the registry",
            hint="the tag was moved or its image replaced; sign the new image, or pin: swarmsec image verify --pin REF",
        )
    if manifest.media_type.is_index:
        raise NotTrusted(f"expected one platform's manifest as {manifest.digest}, got an index")


def _parsed(found: Found, repository: str, path: str) -> Vouched:
    # NOTE: a role is who signs for it, and each delegator says that anew: another role may name a repository's role
    # and give it keys of its own (python-tuf, "diamond" delegations).
    if (found.role, found.delegator) != (repository, TARGETS):
        raise UntrustedMetadata(
            f"expected the role {repository} to speak of its images, as the top level delegates it,"
            f" got an answer of {found.role!a}"
        )
    tag = path.removeprefix(f"{repository}/")
    try:
        return parse_target(found.target, repository=repository, tag=tag, signers=found.signers)
    except InvalidMetadata as error:
        raise UntrustedMetadata(str(error)) from None


def _of_role(role: tuple[Targets, frozenset[str]], repository: str, path: str) -> Vouched:
    target = role[0].targets[path].to_dict()
    return _parsed(Found(role=repository, delegator=TARGETS, target=target, signers=role[1]), repository, path)


def _is_own(repository: str, path: str) -> bool:
    """A role may list what it is not delegated; that counts for nothing."""
    return path.startswith(f"{repository}/") and "/" not in path.removeprefix(f"{repository}/")


def _unsigned(name: str) -> NotSigned:
    return NotSigned(f"nobody signed {name}", hint=f"sign it: swarmsec image sign {name}")


def _days(age: timedelta) -> str:
    return f"{age.days} d" if age.days and not age.seconds else f"{int(age.total_seconds())} s"
