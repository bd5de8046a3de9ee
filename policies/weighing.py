"""Weighing rules against a request: which match, and which of them is the most specific.

Shared by the decisions and by the explanations of them, so that an explanation cannot tell another story.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from policies.decisions import Basis
from policies.documents import Document, Patterns
from policies.globs import ANY, Specificity

Rule = TypeVar("Rule")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed(Generic[Rule]):
    """A rule before a request: how specific its scope is there, or why it does not match."""

    document: Document
    index: int
    rule: Rule
    specificity: Specificity = ANY
    mismatch: str = ""
    """What did not match, for people; empty when the rule matches."""

    @property
    def is_match(self) -> bool:
        """Whether the rule matches the request."""
        return not self.mismatch

    @property
    def basis(self) -> Basis:
        """The rule, as decisions name it."""
        return Basis(policy=self.document.name, digest=self.document.digest, rule=self.index)


def scope_of(patterns: Patterns, name: str) -> Specificity | None:
    """Return how specifically patterns cover a name; None when they do not cover it at all."""
    if patterns is None:
        return ANY
    return max((glob.specificity for glob in patterns if glob.matches(name)), default=None)


def weighed_scope(
    document: Document, index: int, rule: Rule, patterns: Patterns, *, name: str, field: str
) -> Weighed[Rule]:
    """Hold a rule against a name that these patterns alone have to cover; ``field`` is what documents call them."""
    specificity = scope_of(patterns, name)
    return Weighed(
        document=document,
        index=index,
        rule=rule,
        specificity=ANY if specificity is None else specificity,
        mismatch=field if specificity is None else "",
    )


def deciding_scopes(weighed: Sequence[Weighed[Rule]]) -> tuple[Weighed[Rule], ...]:
    """Return the scopes that decide: they match, and none is more specific."""
    return most_specific([item for item in weighed if item.is_match])


def most_specific(weighed: Sequence[Weighed[Rule]]) -> tuple[Weighed[Rule], ...]:
    """Return the rules, all of which match, that no other is more specific than."""
    top = max((item.specificity for item in weighed), default=ANY)
    return tuple(item for item in weighed if item.specificity == top)
