"""Text to policy documents: the edge at which everything about a document is checked, once.

The text is read by ``yamltext``, the fields by ``parsing``; a document that gets through is complete and closed,
and the documents of one text do not contradict each other (``checking``).
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import assert_never

from policies.checking import check_set
from policies.documents import API_VERSION, Document, Kind, Spec
from policies.parsing import parse_rotation, parse_secret_access, parse_trust
from policies.trees import Node, read_choice, read_fields, read_text
from policies.yamltext import parse_trees

NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?", re.ASCII)
_VERSION = re.compile(re.escape(API_VERSION))


def load_documents(text: bytes, *, source: str) -> tuple[Document, ...]:
    """Read policy documents.

    Args:
        text: YAML in UTF-8, one document or several, each of a kind in ``Kind``.
        source: name of the text in messages.

    Returns:
        the documents in their order, at least one.

    Raises:
        InvalidDocument: the text is not exactly such documents.
        AmbiguousPolicy: the documents contradict each other, or two have one name.
    """
    documents = tuple(_document(tree) for tree in parse_trees(text, source=source))
    check_set(documents)
    return documents


def _document(tree: Node) -> Document:
    fields = read_fields(tree, required=frozenset({"apiVersion", "kind", "metadata", "spec"}))
    version = read_text(fields["apiVersion"], pattern=_VERSION, expected=API_VERSION)
    kind = read_choice(fields["kind"], Kind)
    canonical = canonical_json(tree)
    return Document(
        api_version=version,
        kind=kind,
        name=read_name(fields["metadata"]),
        spec=_spec(kind, fields["spec"]),
        canonical=canonical,
        digest=f"sha256:{hashlib.sha256(canonical).hexdigest()}",
    )


def read_name(metadata: Node) -> str:
    """Read ``metadata``, which holds the name and nothing else.

    Raises:
        InvalidDocument: it is not exactly that.
    """
    fields = read_fields(metadata, required=frozenset({"name"}))
    return read_text(
        fields["name"],
        pattern=NAME,
        expected="a name of 1 to 63 lower-case letters, digits, dots and hyphens",
    )


def _spec(kind: Kind, node: Node) -> Spec:
    match kind:
        case Kind.SECRET_ACCESS:
            return parse_secret_access(node)
        case Kind.TRUST:
            return parse_trust(node)
        case Kind.ROTATION:
            return parse_rotation(node)
    assert_never(kind)


def canonical_json(tree: Node) -> bytes:
    """Return a document in the form that its digest covers: sorted keys, no spaces, UTF-8."""
    return json.dumps(tree.plain(), sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
