"""Offline bundles: one file with metadata, policy and a timestamp of its own.

``{"format": "swarmsec-trust-bundle/1", "metadata": {name: base64}, "timestamp": base64}``. The names are those of
published files; ``policy/trust.yaml`` may be among them. A bundle continues the chain of roots from the pin and never
starts it, so nothing in the envelope needs to be signed: what it holds is.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from notary.errors import InvalidMetadata
from notary.roles import TIMESTAMP_FILE
from notary.strictjson import encode_json, parse_strict

FORMAT: Final = "swarmsec-trust-bundle/1"
MAX_BUNDLE_BYTES: Final = 64 * 1024 * 1024
MAX_FILES: Final = 20_000
_MAX_NAME: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Files by the names that they are published under; the timestamp is the bundle's own."""

    files: Mapping[str, bytes]

    def fetch(self, name: str, limit: int) -> bytes | None:
        """The ``MetadataSource`` port; the caller holds the length against the limit."""
        return self.files.get(name)


def parse_bundle(data: bytes) -> Bundle:
    """Parse a bundle.

    Args:
        data: at most ``MAX_BUNDLE_BYTES`` bytes.

    Raises:
        InvalidMetadata: it is none.
    """
    members = parse_strict(data, limit=MAX_BUNDLE_BYTES)
    if members.get("format") != FORMAT:
        raise InvalidMetadata(f"expected a bundle of format {FORMAT}, got {str(members.get('format'))[:60]!a}")
    metadata = members.get("metadata")
    if set(members) != {"format", "metadata", "timestamp"} or not isinstance(metadata, dict):
        raise InvalidMetadata("expected a bundle with format, metadata and timestamp alone")
    if len(metadata) > MAX_FILES or any(len(name) > _MAX_NAME for name in metadata):
        raise InvalidMetadata(f"expected at most {MAX_FILES} files in a bundle")
    files = {name: _decoded(value) for name, value in metadata.items()}
    return Bundle(files={**files, TIMESTAMP_FILE: _decoded(members["timestamp"])})


def write_bundle(files: Mapping[str, bytes], timestamp: bytes) -> bytes:
    """Write a bundle.

    Args:
        files: published files by name, without the timestamp.
        timestamp: one that is marked for bundles.
    """
    members = {
        "format": FORMAT,
        "metadata": {name: _encoded(value) for name, value in files.items()},
        "timestamp": _encoded(timestamp),
    }
    return encode_json(members)


def _decoded(value: Any) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (ValueError, TypeError):
        raise InvalidMetadata("expected base64 in a bundle") from None


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
