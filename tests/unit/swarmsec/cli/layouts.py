"""OCI layouts on disk, for commands that resolve images without a registry (OCI image layout specification, 1.0)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def _blob(directory: Path, document: dict[str, Any]) -> tuple[str, int]:
    data = json.dumps(document).encode()
    digest = hashlib.sha256(data).hexdigest()
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    (blobs / digest).write_bytes(data)
    return f"sha256:{digest}", len(data)


def make_layout(directory: Path, tag: str, content: str = "one", platforms: tuple[str, ...] = ()) -> str:
    """Write a layout with one tag, a manifest or an index of one for each architecture; returns its digest."""

    def manifest(text: str) -> tuple[str, int]:
        config = {"mediaType": "application/vnd.oci.image.config.v1+json", **_descriptor(_blob(directory, {"c": text}))}
        return _blob(directory, {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []})

    if platforms:
        members = [
            {
                "mediaType": MANIFEST,
                **_descriptor(manifest(f"{content} {architecture}")),
                "platform": {"os": "linux", "architecture": architecture},
            }
            for architecture in platforms
        ]
        top, kind = _blob(directory, {"schemaVersion": 2, "mediaType": INDEX, "manifests": members}), INDEX
    else:
        top, kind = manifest(content), MANIFEST
    annotations = {"org.opencontainers.image.ref.name": tag}
    entry = {"mediaType": kind, **_descriptor(top), "annotations": annotations}
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (directory / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
    return top[0]


def _descriptor(blob: tuple[str, int]) -> dict[str, Any]:
    return {"digest": blob[0], "size": blob[1]}
