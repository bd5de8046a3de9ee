"""Whether documents go together: no name twice, and no request that two rules answer differently with equal right.

A tie exists where two rules have patterns of the same specificity that some name matches both, and every other
condition of the two can hold together. The check may report a tie that a third, more specific rule settles; it
misses none. (What it reports, ``secret_access`` and ``trust`` would deny.)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Generic, TypeVar

from policies.documents import (
    Document,
    Effect,
    Patterns,
    SecretAccessPolicy,
    SecretAccessRule,
    TrustPolicy,
    TrustScope,
)
from policies.errors import AmbiguousPolicy
from policies.globs import Glob, Specificity

Rule = TypeVar("Rule", SecretAccessRule, TrustScope)

_ANYTHING = (Glob.parse("**"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry(Generic[Rule]):
    """One pattern of one rule's scope."""

    document: Document
    index: int
    rule: Rule
    glob: Glob

    def __str__(self) -> str:
        return f"{self.document.name} rule {self.index} ({self.glob.text})"


def check_set(documents: Sequence[Document]) -> None:
    """Check that documents can be in force together.

    Args:
        documents: all that shall be in force, of any kind.

    Raises:
        AmbiguousPolicy: two documents of a kind have one name, or two rules tie with different answers.
    """
    _check_names(documents)
    for first, second in _rivals(list(_secret_entries(documents))):
        if first.document is not second.document and _secret_rules_tie(first.rule, second.rule):
            raise _ambiguity(first, second)
    for scope, other in _rivals(list(_trust_entries(documents))):
        if answer_of_scope(scope.rule) != answer_of_scope(other.rule):
            raise _ambiguity(scope, other)


def _check_names(documents: Sequence[Document]) -> None:
    seen: set[tuple[str, str]] = set()
    for document in documents:
        if (document.kind, document.name) in seen:
            raise AmbiguousPolicy(f"expected one {document.kind} named {document.name}, got two")
        seen.add((document.kind, document.name))


def answer_of_rule(rule: SecretAccessRule) -> tuple[object, ...]:
    """Return what a secret access rule answers; equal answers do not contradict each other."""
    if rule.effect is Effect.DENY:
        return (Effect.DENY,)
    return (Effect.ALLOW, rule.require_trusted_image, rule.require_attached)


def answer_of_scope(scope: TrustScope) -> tuple[object, ...]:
    """Return what a trust scope answers; equal answers do not contradict each other."""
    return (scope.level, scope.min_signers, scope.max_age)


def _secret_entries(documents: Sequence[Document]) -> Iterator[_Entry[SecretAccessRule]]:
    for document in documents:
        if isinstance(document.spec, SecretAccessPolicy):
            for index, rule in enumerate(document.spec.rules):
                for glob in rule.secrets or _ANYTHING:
                    yield _Entry(document=document, index=index, rule=rule, glob=glob)


def _trust_entries(documents: Sequence[Document]) -> Iterator[_Entry[TrustScope]]:
    for document in documents:
        if isinstance(document.spec, TrustPolicy):
            for index, scope in enumerate(document.spec.scopes):
                for glob in scope.images or _ANYTHING:
                    yield _Entry(document=document, index=index, rule=scope, glob=glob)


def _rivals(entries: list[_Entry[Rule]]) -> Iterator[tuple[_Entry[Rule], _Entry[Rule]]]:
    """Yield the pairs of equally specific patterns that some name matches both."""
    groups: defaultdict[tuple[Specificity, str], list[_Entry[Rule]]] = defaultdict(list)
    for entry in entries:
        specificity = entry.glob.specificity
        # Exact patterns meet only themselves, which spares comparing each with each.
        groups[specificity, entry.glob.text if specificity.exact else ""].append(entry)
    for group in groups.values():
        for first, second in combinations(group, 2):
            if first.rule is not second.rule and first.glob.overlaps(second.glob):
                yield first, second


def _secret_rules_tie(first: SecretAccessRule, second: SecretAccessRule) -> bool:
    return (
        answer_of_rule(first) != answer_of_rule(second)
        and _can_meet(first.services, second.services)
        and _can_meet(first.images, second.images)
        and _can_meet(first.nodes, second.nodes)
        and all(first.labels[key].overlaps(second.labels[key]) for key in first.labels.keys() & second.labels)
    )


def _can_meet(first: Patterns, second: Patterns) -> bool:
    return first is None or second is None or any(a.overlaps(b) for a in first for b in second)


def _ambiguity(first: _Entry[Rule], second: _Entry[Rule]) -> AmbiguousPolicy:
    return AmbiguousPolicy(
        f"expected one answer per request, got two that are equally specific: {first} and {second}",
        hint="make one of the patterns more specific, or let both rules answer alike",
    )
