"""Images in an OCI layout on disk (OCI image specification 1.1, "Image Layout").

``index.json`` lists what the layout holds; a tag is the annotation ``org.opencontainers.image.ref.name``. Nothing in
the directory is believed: bytes are bounded and hashed as those of a registry are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from notary.errors import InvalidDigest, InvalidManifest, InvalidMetadata
from notary.manifest import MAX_ENTRIES, MAX_MANIFEST_BYTES, parse_manifest, verify_digest
from notary.reference import Digest, LayoutReference
from notary.strictjson import parse_strict
from swarmsec.errors import NotFound, Unavailable, UsageProblem
from swarmsec.openedfile import open_to_read
from swarmsec.registry.client import NoSuchImage, Pulled

REF_NAME: Final = "org.opencontainers.image.ref.name"
_VERSION: Final = "1.0.0"
_MAX_MARKER: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One manifest or index that a layout lists."""

    digest: Digest
    size: int
    media_type: str
    ref_name: str | None


def find_entry(reference: LayoutReference) -> Entry:
    """Find what a reference means in its layout; without a tag it must be the only one there.

    Raises:
        NotFound: there is no such directory, or it is no layout.
        NoSuchImage: nothing is tagged so.
        UsageProblem: several could be meant.
        InvalidManifest: the layout's index is wrong.
        Unavailable: it cannot be read.
    """
    directory = Path(reference.directory)
    _verify_layout(directory)
    entries = parse_layout_index(_read(directory / "index.json", MAX_MANIFEST_BYTES, directory))
    meant = [entry for entry in entries if reference.tag is None or _is_tagged(entry, reference.tag)]
    if not meant:
        raise NoSuchImage(f"no image {reference} in the layout", hint=f"it holds: {_names(entries)}")
    if len({entry.digest for entry in meant}) > 1:
        raise UsageProblem(
            f"expected one image in {directory}, got {len(meant)}", hint=f"name one with oci:DIR:TAG: {_names(entries)}"
        )
    return meant[0]


def read_entry(reference: LayoutReference, entry: Entry) -> Pulled:
    """Read an entry's manifest or index.

    Raises:
        InvalidManifest: the bytes are not what the entry says.
        Unavailable: they cannot be read.
    """
    directory = Path(reference.directory)
    data = _read(directory / "blobs" / entry.digest.algorithm.value / entry.digest.hex, MAX_MANIFEST_BYTES, directory)
    verify_digest(data, entry.digest)
    if len(data) != entry.size:
        raise InvalidManifest(f"expected {entry.size} bytes, as the layout says, got {len(data)}")
    return Pulled(data=data, manifest=parse_manifest(data, content_type=entry.media_type))


def _verify_layout(directory: Path) -> None:
    if not directory.is_dir():
        raise NotFound(f"no directory {directory}")
    marker = directory / "oci-layout"
    if not marker.is_file():
        raise NotFound(f"{directory} is no OCI layout: it has no file oci-layout")
    try:
        version = parse_strict(_read(marker, _MAX_MARKER, directory), limit=_MAX_MARKER).get("imageLayoutVersion")
    except InvalidMetadata as error:
        raise InvalidManifest(f"the layout's marker is wrong: {error}") from None
    if version != _VERSION:
        raise UsageProblem(f"expected an OCI layout of version {_VERSION}, got {str(version)[:40]!a}")


def parse_layout_index(data: bytes) -> list[Entry]:
    """Parse a layout's ``index.json``.

    Raises:
        InvalidManifest: it is none.
    """
    try:
        members = parse_strict(data, limit=MAX_MANIFEST_BYTES)
    except InvalidMetadata as error:
        raise InvalidManifest(f"the layout's index is wrong: {error}") from None
    manifests = members.get("manifests")
    if members.get("schemaVersion") != 2 or not isinstance(manifests, list) or len(manifests) > MAX_ENTRIES:
        raise InvalidManifest(f"expected an index of at most {MAX_ENTRIES} manifests in the layout")
    return [_entry(entry) for entry in manifests]


def _entry(value: Any) -> Entry:
    try:
        annotations = value.get("annotations") or {}
        digest, size, media_type = Digest.parse(value["digest"]), value["size"], value["mediaType"]
        name = annotations.get(REF_NAME)
    except (AttributeError, KeyError, TypeError, InvalidDigest):
        raise InvalidManifest("expected descriptors with digest, size and mediaType in the layout's index") from None
    if not isinstance(size, int) or not isinstance(media_type, str) or not isinstance(name, str | None):
        raise InvalidManifest("expected descriptors with digest, size and mediaType in the layout's index")
    return Entry(digest=digest, size=size, media_type=media_type, ref_name=name)


def _is_tagged(entry: Entry, tag: str) -> bool:
    """By the tag itself, or by a full reference that ends in it, as buildx writes."""
    name = entry.ref_name or ""
    return name == tag or ("/" in name and name.endswith(f":{tag}"))


def _names(entries: Sequence[Entry]) -> str:
    return ", ".join(f"{entry.ref_name[:128]!a}" if entry.ref_name else str(entry.digest) for entry in entries[:10])


def _read(path: Path, limit: int, directory: Path) -> bytes:
    try:
        with open_to_read(path) as file:
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise NoSuchImage(f"the layout {directory} lacks {path.relative_to(directory)}") from None
    except OSError as error:
        raise Unavailable(f"{path} could not be read: {error.strerror}", hint="check its owner and mode") from None
    if len(data) > limit:
        raise InvalidManifest(f"expected at most {limit} bytes in {path.relative_to(directory)}")
    return data
