"""Small images in OCI layouts, written by hand: what a build tool leaves behind, without one."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
REF_NAME = "org.opencontainers.image.ref.name"


class LayoutWriter:
    """Writes a layout.

    Args:
        directory: made, and filled.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._entries: list[dict[str, Any]] = []
        (directory / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def add(self, tag: str | None, word: str, platforms: Sequence[str] = ()) -> str:
        """Add an image that holds one word, or an index of one for each platform; returns its digest."""
        if platforms:
            children = [{**self._image(f"{word} {each}", each), "platform": _platform(each)} for each in platforms]
            body = {"schemaVersion": 2, "mediaType": INDEX, "manifests": children}
            entry = self._document(INDEX, body)
        else:
            entry = self._image(word, "linux/amd64")
        annotations = {} if tag is None else {"annotations": {REF_NAME: tag}}
        self._entries = [
            other
            for other in self._entries
            if tag is None or other.get("annotations") != annotations.get("annotations")
        ]
        self._entries.append({**entry, **annotations})
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": self._entries}
        (self.directory / "index.json").write_text(json.dumps(index))
        return str(entry["digest"])

    def _image(self, word: str, platform: str) -> dict[str, Any]:
        tar = _archive(word.encode())
        layer = self._blob(LAYER, gzip.compress(tar, mtime=0))
        config = {
            **_platform(platform),
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}"]},
            "config": {},
        }
        body = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self._blob(CONFIG, json.dumps(config).encode()),
            "layers": [layer],
        }
        return self._document(MANIFEST, body)

    def _document(self, media_type: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._blob(media_type, json.dumps(body, indent=1).encode())

    def _blob(self, media_type: str, data: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        (self.directory / "blobs" / "sha256" / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}


def _platform(text: str) -> dict[str, str]:
    return dict(zip(("os", "architecture", "variant"), text.split("/"), strict=False))


def _archive(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("word")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
