"""What the trust services need of the world beside the store: images by reference, and published metadata by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from notary.images import PlatformEntry
from notary.reference import Digest, ImageReference, LayoutReference

__all__ = ["FoundManifest", "ManifestSource", "PlatformEntry", "PublishedMetadata"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundManifest:
    """What a reference means now: the manifest's or index's exact bytes, hashed by us.

    ``platforms`` are those of an index; a manifest has none.
    """

    digest: Digest
    data: bytes
    media_type: str
    platforms: tuple[PlatformEntry, ...] = ()


class ManifestSource(Protocol):
    """Images, in a registry or in an OCI layout."""

    def resolve(self, reference: ImageReference | LayoutReference) -> FoundManifest: ...


class PublishedMetadata(Protocol):
    """The repository as clients see it: a file by its name, such as ``1.root.json``, or None."""

    def get(self, name: str) -> bytes | None: ...
