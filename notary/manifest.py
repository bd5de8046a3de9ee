"""Image manifests and indexes, parsed strictly from the exact bytes that their digest is over.

What a document is, is said three times: by the registry's ``Content-Type``, by its member ``mediaType`` and by its
shape. All that are there must say the same, else one program reads as an index what another reads as a manifest
(CVE-2021-41190; OCI distribution specification 1.1, "Pulling manifests"). Accepted are the OCI image manifest and index
1.1 and Docker's schema 2 manifest and list; schema 1, which is not content addressed, is not. Descriptors are read as
the OCI image specification has them ("Content Descriptors").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from notary.errors import InvalidDigest, InvalidManifest, InvalidMetadata
from notary.reference import Algorithm, Digest
from notary.strictjson import parse_strict

MAX_MANIFEST_BYTES: Final = 4 * 1024 * 1024
"""What registries are asked to accept at least (OCI distribution specification, "Pushing Manifests")."""
MAX_ENTRIES: Final = 1000
"""Manifests in an index, or layers in a manifest."""
MAX_SIZE: Final = 2**53
_MAX_WORD: Final = 64
_INDEX_IS_WITHOUT: Final = ("config", "layers", "fsLayers", "history")
_MANIFEST_IS_WITHOUT: Final = ("manifests", "fsLayers", "history")
_UNKNOWN: Final = "unknown"


class MediaType(StrEnum):
    """The documents that are accepted."""

    OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
    OCI_INDEX = "application/vnd.oci.image.index.v1+json"
    DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
    DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"

    @property
    def is_index(self) -> bool:
        """Whether such a document lists manifests of several platforms."""
        return self in {MediaType.OCI_INDEX, MediaType.DOCKER_LIST}


_DOCKER: Final = frozenset({MediaType.DOCKER_MANIFEST, MediaType.DOCKER_LIST})


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What an image of an index runs on; the words are the index's own (GOOS, GOARCH)."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One manifest that an index lists; ``platform`` is None for attestations and what else runs nowhere."""

    digest: Digest
    size: int
    media_type: str
    platform: Platform | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A checked document.

    Attributes:
        media_type: what it is.
        digest: SHA-256 of its exact bytes.
        size: their number.
        children: what an index lists; empty for a manifest.
    """

    media_type: MediaType
    digest: Digest
    size: int
    children: tuple[Child, ...] = ()

    @property
    def platforms(self) -> tuple[Child, ...]:
        """The children that a machine can run."""
        return tuple(child for child in self.children if child.platform is not None)


def parse_media_type(text: str) -> MediaType:
    """Read a media type, with or without parameters, as ``Content-Type`` has it.

    Raises:
        InvalidManifest: it is none of those that are accepted.
    """
    word = text.partition(";")[0].strip().lower()
    try:
        return MediaType(word)
    except ValueError:
        raise InvalidManifest(
            f"expected an image manifest or index of OCI or Docker schema 2, got {text[:100]!a}",
            hint="push the image anew with a current tool",
        ) from None


def parse_manifest(data: bytes, *, content_type: str | None) -> Manifest:
    """Parse a manifest or an index.

    Args:
        data: the exact bytes, at most ``MAX_MANIFEST_BYTES``.
        content_type: what the registry or the descriptor says that it is; None where nobody says.

    Raises:
        InvalidManifest: it is none, or what says what it is disagrees.
    """
    try:
        members = parse_strict(data, limit=MAX_MANIFEST_BYTES)
    except InvalidMetadata as error:
        raise InvalidManifest(f"a manifest that is not what it should be: {error}") from None
    media_type = _media_type(members, None if content_type is None else parse_media_type(content_type))
    _verify_shape(members, media_type)
    children = _children(members) if media_type.is_index else ()
    if not media_type.is_index:
        _verify_content(members)
    return Manifest(media_type=media_type, digest=Digest.of(data), size=len(data), children=children)


def verify_digest(data: bytes, expected: Digest) -> None:
    """Hold bytes against the digest that they were asked for by.

    Raises:
        InvalidManifest: they have another; names both.
    """
    found = Digest.of(data, algorithm=expected.algorithm)
    if found != expected:
        raise InvalidManifest(f"expected bytes with digest {expected}, got {found}")


def _media_type(members: Mapping[str, Any], told: MediaType | None) -> MediaType:
    if members.get("schemaVersion") != 2 or isinstance(members.get("schemaVersion"), bool):
        raise InvalidManifest(
            f"expected schemaVersion 2, got {_quoted(members.get('schemaVersion'))}",
            hint="schema 1 cannot be verified; push the image anew with a current tool",
        )
    written = members.get("mediaType")
    if written is None:
        return _unwritten(members, told)
    if not isinstance(written, str) or written not in set(MediaType):
        raise InvalidManifest(f"expected mediaType of an image manifest or index, got {_quoted(written)}")
    if told is not None and told != written:
        raise InvalidManifest(f"expected mediaType {told}, as the Content-Type says, got {_quoted(written)}")
    return MediaType(written)


def _unwritten(members: Mapping[str, Any], told: MediaType | None) -> MediaType:
    """Only OCI documents may leave ``mediaType`` out; then the shape decides, and what was told must agree."""
    shape = MediaType.OCI_INDEX if "manifests" in members else MediaType.OCI_MANIFEST
    if told in _DOCKER:
        raise InvalidManifest(f"expected mediaType {told}, as the Content-Type says, got none")
    if told is not None and told != shape:
        raise InvalidManifest(f"expected {told}, as the Content-Type says, got what looks like {shape}")
    return shape


def _verify_shape(members: Mapping[str, Any], media_type: MediaType) -> None:
    wanted = "manifests" if media_type.is_index else "layers"
    foreign = _INDEX_IS_WITHOUT if media_type.is_index else _MANIFEST_IS_WITHOUT
    found = [name for name in foreign if name in members]
    if found:
        raise InvalidManifest(f"expected {media_type} without {found[0]}, got a document that is both")
    entries = members.get(wanted)
    if not isinstance(entries, list) or len(entries) > MAX_ENTRIES:
        raise InvalidManifest(f"expected at most {MAX_ENTRIES} {wanted} in {media_type}, got {_quoted(entries)}")


def _verify_content(members: Mapping[str, Any]) -> None:
    """A manifest's own descriptors: not used here, but a document that has none is no manifest."""
    _descriptor(members.get("config"))
    for layer in members["layers"]:
        _descriptor(layer)


def _children(members: Mapping[str, Any]) -> tuple[Child, ...]:
    return tuple(_child(entry) for entry in members["manifests"])


def _child(entry: object) -> Child:
    digest, size, media_type, members = _descriptor(entry)
    if digest.algorithm is not Algorithm.SHA256:
        raise InvalidManifest(f"expected sha256 digests in an index, got {digest.algorithm}")
    return Child(digest=digest, size=size, media_type=media_type, platform=_platform(members.get("platform")))


def _descriptor(entry: object) -> tuple[Digest, int, str, Mapping[str, Any]]:
    if not isinstance(entry, dict):
        raise InvalidManifest(f"expected a descriptor, got {_quoted(entry)}")
    digest, size, media_type = entry.get("digest"), entry.get("size"), entry.get("mediaType")
    if not isinstance(digest, str) or not isinstance(media_type, str) or not 1 <= len(media_type) <= 255:
        raise InvalidManifest("expected a descriptor with mediaType and digest, got one without")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= MAX_SIZE:
        raise InvalidManifest(f"expected a descriptor with its size in bytes, got {_quoted(size)}")
    try:
        return Digest.parse(digest), size, media_type, entry
    except InvalidDigest as error:
        raise InvalidManifest(str(error)) from None


def _platform(value: object) -> Platform | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise InvalidManifest(f"expected a platform, got {_quoted(value)}")
    platform = parse_platform(value)
    # BuildKit's attestations stand in the index as manifests for unknown/unknown.
    return None if _UNKNOWN in {platform.os, platform.architecture} else platform


def parse_platform(members: Mapping[str, Any]) -> Platform:
    """Read ``os``, ``architecture`` and ``variant``, as an index and our own signed targets have them.

    Raises:
        InvalidManifest: they are no short printable texts.
    """
    words = [members.get(name, "" if name == "variant" else None) for name in ("os", "architecture", "variant")]
    for word in words:
        if not isinstance(word, str) or len(word) > _MAX_WORD or not (word.isascii() and word.isprintable()):
            raise InvalidManifest(f"expected a platform with os and architecture, got {_quoted(word)}")
    return Platform(os=words[0], architecture=words[1], variant=words[2])


def _quoted(value: object) -> str:
    if isinstance(value, str | int | None):
        return ascii(str(value)[:80])
    return f"a {type(value).__name__}" + (f" of {len(value)}" if isinstance(value, list | dict) else "")
