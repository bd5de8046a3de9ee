"""Errors of the policy leaf.

PolicyError
├── InvalidDocument    a document, access table or test table that is not exactly what its kind says
├── AmbiguousPolicy    documents that answer one request differently, with nothing to choose between them
└── PolicyDenied       a denial, for callers that want it raised instead of returned
"""

from __future__ import annotations


class PolicyError(Exception):
    """Base of every refusal of this package.

    Args:
        message: what was expected and what was found, lower case, no full stop.
        hint: what to do next, as one sentence or command.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class InvalidDocument(PolicyError):
    """A document that cannot be meant; the message begins with the place it speaks of.

    Args:
        message: what was expected and what was found.
        source: where the text came from, as the user knows it (a file name).
        document: number of the document in the text, from 1; None where the whole text is meant.
        path: place in the document, such as ``spec.rules[2].images[0]``; empty for all of it.
        line: line in the text, from 1; None where it is not known.
        hint: what to do next.
    """

    def __init__(
        self,
        message: str,
        *,
        source: str,
        document: int | None = None,
        path: str = "",
        line: int | None = None,
        hint: str | None = None,
    ) -> None:
        where = [source]
        if line is not None:
            where.append(f"line {line}")
        if document is not None:
            where.append(f"document {document}")
        if path:
            where.append(path)
        super().__init__(f"{', '.join(where)}: {message}", hint=hint)
        self.source = source
        self.document = document
        self.path = path
        self.line = line


class AmbiguousPolicy(PolicyError):
    """Two rules that are equally specific, can meet the same request, and answer it differently."""


class PolicyDenied(PolicyError):
    """A decision against the request."""
