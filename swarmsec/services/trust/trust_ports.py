"""What the trust services need of the world: their records, images by reference, published metadata by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from notary.images import PlatformEntry
from notary.reference import Digest, ImageReference, LayoutReference
from swarmsec.services.trust.trust_records import PendingChange, TrustKey, TrustRole

__all__ = ["FoundManifest", "ManifestSource", "PlatformEntry", "PublishedMetadata"]


class TrustRoles(Protocol):
    """The roles of the repository: versions in force and who signs."""

    def get(self, role: str) -> TrustRole | None: ...
    def put(self, role: TrustRole) -> None: ...
    def remove(self, role: str) -> None: ...
    def all(self) -> Sequence[TrustRole]: ...


class TrustKeys(Protocol):
    """Signers' public keys."""

    def get(self, keyid: str) -> TrustKey | None: ...
    def add(self, key: TrustKey) -> None: ...
    def all(self) -> Sequence[TrustKey]: ...


class TrustFiles(Protocol):
    """Published files by name."""

    def get(self, name: str) -> bytes | None: ...
    def add(self, name: str, data: bytes) -> None: ...
    def replace(self, name: str, data: bytes) -> None: ...
    def remove(self, name: str) -> None: ...


class PendingChanges(Protocol):
    """Changes that need signatures."""

    def get(self, change_id: str) -> PendingChange | None: ...
    def put(self, change: PendingChange) -> None: ...
    def remove(self, change_id: str) -> None: ...
    def all(self) -> Sequence[PendingChange]: ...


class SpentTokens(Protocol):
    """Tokens that were used."""

    def spend(self, token_id: str, expires: int) -> bool: ...
    def forget_expired(self, now: int, limit: int) -> None: ...


class TrustStore(Protocol):
    """Everything the trust services keep."""

    @property
    def roles(self) -> TrustRoles: ...
    @property
    def keys(self) -> TrustKeys: ...
    @property
    def files(self) -> TrustFiles: ...
    @property
    def changes(self) -> PendingChanges: ...
    @property
    def spent_tokens(self) -> SpentTokens: ...


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
