"""What the signed metadata says about one image, read strictly.

A target of a repository's role is a tag: its hash is the digest of the manifest or index, its length their size, and
its ``custom`` says the media type, the platforms of an index with their digests, and when it was signed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from notary.errors import InvalidDigest, InvalidManifest, InvalidMetadata
from notary.manifest import MAX_ENTRIES, MAX_MANIFEST_BYTES, MediaType, Platform, parse_platform
from notary.reference import Digest

_TIME: Final = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.\d{1,9})?Z", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedPlatform:
    """One platform of a signed index."""

    platform: Platform
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Vouched:
    """An image that the metadata vouches for.

    Attributes:
        repository: as the role is named.
        tag: the tag that was asked for, or one that means the digest.
        digest: of the manifest or index that was signed.
        size: of its bytes.
        media_type: of the document, if the target says.
        platforms: of a signed index.
        signed: when it was signed, as the signer says.
        signers: one word for each different key whose signature on the role counts.
    """

    repository: str
    tag: str
    digest: Digest
    size: int
    media_type: MediaType | None
    platforms: tuple[SignedPlatform, ...]
    signed: datetime | None
    signers: frozenset[str]

    @property
    def digests(self) -> tuple[Digest, ...]:
        """The digest and those of its platforms."""
        return (self.digest, *(entry.digest for entry in self.platforms))


def parse_target(members: Mapping[str, Any], *, repository: str, tag: str, signers: frozenset[str]) -> Vouched:
    """Read a target of a repository's role.

    Args:
        members: ``length``, ``hashes`` and ``custom``, as metadata has them.
        repository: the role's name.
        tag: the last part of the target's path.
        signers: of the role.

    Raises:
        InvalidMetadata: it is not a target as described above.
    """
    size = members.get("length")
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= MAX_MANIFEST_BYTES:
        raise InvalidMetadata(f"expected the size of a manifest as length of {tag}, got {str(size)[:40]!a}")
    custom = members.get("custom", {})
    if not isinstance(custom, dict):
        raise InvalidMetadata(f"expected an object as custom of {tag}, got a {type(custom).__name__}")
    try:
        return Vouched(
            repository=repository,
            tag=tag,
            digest=_digest(members.get("hashes")),
            size=size,
            media_type=MediaType(custom["mediaType"]) if "mediaType" in custom else None,
            platforms=_platforms(custom.get("platforms", [])),
            signed=_time(custom["signed"]) if "signed" in custom else None,
            signers=signers,
        )
    except (InvalidManifest, InvalidDigest, ValueError) as error:
        raise InvalidMetadata(f"what is signed about {tag} cannot be read: {ascii(str(error)[:200])[1:-1]}") from None


def _digest(hashes: object) -> Digest:
    found = hashes.get("sha256") if isinstance(hashes, dict) else None
    if not isinstance(found, str):
        raise InvalidDigest("expected a sha256 hash, got none")
    return Digest.parse(f"sha256:{found}")


def _platforms(entries: object) -> tuple[SignedPlatform, ...]:
    if not isinstance(entries, list) or len(entries) > MAX_ENTRIES:
        raise InvalidManifest(f"expected at most {MAX_ENTRIES} platforms")
    return tuple(_entry(entry) for entry in entries)


def _entry(entry: object) -> SignedPlatform:
    if not isinstance(entry, dict) or not isinstance(entry.get("digest"), str):
        raise InvalidManifest("expected a platform with its digest")
    return SignedPlatform(platform=parse_platform(entry), digest=Digest.parse(entry["digest"]))


def _time(text: object) -> datetime:
    found = _TIME.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise InvalidManifest("expected the time of signing as RFC 3339 in UTC")
    return datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
