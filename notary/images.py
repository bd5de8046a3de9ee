"""What is signed about an image: the members of its target, and of a revocation.

A target's hash is the digest of the manifest or index, so any TUF client answers tag to digest (TUF specification,
section 4.5; ``custom`` is opaque to it). Texts come from a stranger's manifest: only printable ASCII of bounded length
is signed, which also keeps the signed form and the file's JSON the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from notary.errors import ChangeRefused
from notary.reference import Digest
from notary.repository import time_text
from notary.roles import sha256_of

MAX_PLATFORMS: Final = 200
MAX_MANIFEST_BYTES: Final = 4 * 1024 * 1024
MAX_REFERENCES: Final = 32
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+/-]{0,127}", re.ASCII)
_REASON: Final = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]{0,512}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformEntry:
    """One image of an index, by what it runs on."""

    os: str
    architecture: str
    variant: str = ""
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedImage:
    """What is signed about one manifest or index; ``platforms`` is empty for a manifest."""

    digest: Digest
    size: int
    media_type: str
    platforms: tuple[PlatformEntry, ...] = ()


def image_target(image: SignedImage, *, signed: datetime) -> dict[str, Any]:
    """Build the members of an image's target.

    Args:
        image: what was resolved.
        signed: when, in UTC.

    Raises:
        ChangeRefused: something of the image cannot be signed.
    """
    if not 0 < image.size <= MAX_MANIFEST_BYTES:
        raise ChangeRefused(f"expected a manifest of 1 to {MAX_MANIFEST_BYTES} bytes, got {image.size}")
    if len(image.platforms) > MAX_PLATFORMS:
        raise ChangeRefused(f"expected an index of at most {MAX_PLATFORMS} platforms, got {len(image.platforms)}")
    custom = {
        "mediaType": _word(image.media_type, "media type"),
        "platforms": _platforms(image.platforms),
        "signed": time_text(signed),
    }
    return {"custom": custom, "hashes": {"sha256": sha256_of(image.digest)}, "length": image.size}


def revocation_target(
    digest: Digest, *, size: int, reason: str, references: Sequence[str], revoked: datetime
) -> dict[str, Any]:
    """Build the members of a revocation.

    Args:
        digest: what is revoked, in whatever repository.
        size: of its manifest where that is known, else 0.
        reason: for people.
        references: the images that it was known by.
        revoked: when, in UTC.

    Raises:
        ChangeRefused: the reason holds quotes, line breaks or other than ASCII, or is too long.
    """
    if _REASON.fullmatch(reason) is None:
        raise ChangeRefused("expected a reason of at most 512 printable ASCII characters without quotes")
    custom = {
        "reason": reason,
        "references": sorted(references)[:MAX_REFERENCES],
        "revoked": time_text(revoked),
    }
    return {"custom": custom, "hashes": {"sha256": sha256_of(digest)}, "length": size}


def digest_of_target(members: Mapping[str, Any]) -> Digest:
    """The digest that a target's members name."""
    return Digest.parse(f"sha256:{members['hashes']['sha256']}")


def _platforms(entries: Sequence[PlatformEntry]) -> list[dict[str, str]]:
    listed = []
    for entry in entries:
        members = {
            "os": _word(entry.os, "operating system"),
            "architecture": _word(entry.architecture, "architecture"),
            "digest": str(entry.digest),
        }
        listed.append({**members, "variant": _word(entry.variant, "variant")} if entry.variant else members)
    return sorted(listed, key=lambda members: (members["os"], members["architecture"], members["digest"]))


def _word(text: str, what: str) -> str:
    if _WORD.fullmatch(text) is None:
        raise ChangeRefused(f"expected a {what} of letters, digits and . _ + / -, got {text[:80]!r}")
    return text
