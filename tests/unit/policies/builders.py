"""Documents for the tests, built the way a user writes them."""

from __future__ import annotations

import json

from policies.documents import Document
from policies.loading import load_documents


def document(kind: str, spec: dict[str, object], *, name: str = "one") -> dict[str, object]:
    """Return a document as plain values."""
    return {"apiVersion": "swarmsec.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def text_of(*documents: dict[str, object]) -> bytes:
    """Write documents as YAML (JSON is YAML)."""
    return b"".join(b"---\n" + json.dumps(item).encode() + b"\n" for item in documents)


def secret_policy(*rules: dict[str, object], name: str = "one") -> Document:
    """Load one secret access policy; rules allow unless they say otherwise."""
    filled = [{"effect": "allow", "requireAttached": False, **rule} for rule in rules]
    (loaded,) = load_documents(text_of(document("SecretAccessPolicy", {"rules": filled}, name=name)), source="test")
    return loaded


def rotation_policy(*rules: dict[str, object], name: str = "one") -> Document:
    """Load one rotation policy."""
    (loaded,) = load_documents(text_of(document("RotationPolicy", {"rules": list(rules)}, name=name)), source="test")
    return loaded


def trust_policy(*scopes: dict[str, object], name: str = "one") -> Document:
    """Load one trust policy; scopes enforce unless they say otherwise."""
    filled = [{"level": "enforce", **scope} for scope in scopes]
    (loaded,) = load_documents(text_of(document("TrustPolicy", {"scopes": filled}, name=name)), source="test")
    return loaded
