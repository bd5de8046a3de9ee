"""Whether documents go together: no name twice, and no request that two rules answer differently with equal right.

A tie exists where two rules have patterns of the same specificity that some name matches both, and every other
condition of the two can hold together. The check may report a tie that a third, more specific rule settles; it
misses none. (What it reports, ``secret_access``, ``trust`` and ``rotation`` would deny.) Comparing each pattern with
each has a bound, ``MAX_STEPS``, past which the set is refused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Generic, TypeVar

from policies.documents import (
    Document,
    Effect,
    Patterns,
    RotationPolicy,
    RotationRule,
    SecretAccessPolicy,
    SecretAccessRule,
    TrustPolicy,
    TrustScope,
)
from policies.errors import AmbiguousPolicy, PolicyError
from policies.globs import Glob, Specificity

Rule = TypeVar("Rule", SecretAccessRule, TrustScope, RotationRule)

Spec = TypeVar("Spec", SecretAccessPolicy, TrustPolicy, RotationPolicy)

MAX_STEPS = 5_000_000
"""Pairs of pattern positions that one check may look at; some seconds of work, far beyond any real set."""

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


@dataclass(slots=True)
class _Comparison:
    """Compares patterns and counts the work; it lives for one check."""

    steps: int = 0

    def can_meet(self, first: Glob, second: Glob) -> bool:
        heads = first.text.partition("*")[0], second.text.partition("*")[0]
        if not heads[0].startswith(heads[1]) and not heads[1].startswith(heads[0]):
            self._spend(1)
            return False
        self._spend(len(first.text) * len(second.text))
        return first.overlaps(second)

    def any_can_meet(self, first: Patterns, second: Patterns) -> bool:
        return first is None or second is None or any(self.can_meet(a, b) for a in first for b in second)

    def _spend(self, steps: int) -> None:
        self.steps += steps
        if self.steps > MAX_STEPS:
            raise PolicyError(
                "expected a set of policies that can be compared, got too many patterns that are equally specific",
                hint="name things in full where you can, or split the rules less finely",
            )


def check_set(documents: Sequence[Document]) -> None:
    """Check that documents can be in force together.

    Args:
        documents: all that shall be in force, of any kind.

    Raises:
        AmbiguousPolicy: two documents of a kind have one name, or two rules tie with different answers.
        PolicyError: there are more patterns than can be compared.
    """
    _check_names(documents)
    comparison = _Comparison()
    for first, second in _equally_specific(_secret_rules(documents)):
        if first.document is not second.document and _secret_rules_tie(comparison, first, second):
            raise _ambiguity(first, second)
    for scope, other in _equally_specific(_trust_scopes(documents)):
        differ = answer_of_scope(scope.rule) != answer_of_scope(other.rule)
        if differ and comparison.can_meet(scope.glob, other.glob):
            raise _ambiguity(scope, other)
    for rule, another in _equally_specific(_rotation_rules(documents)):
        if answer_of_rotation(rule.rule) != answer_of_rotation(another.rule) and comparison.can_meet(
            rule.glob, another.glob
        ):
            raise _ambiguity(rule, another)


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


def answer_of_rotation(rule: RotationRule) -> tuple[object, ...]:
    """Return what a rotation rule answers; equal answers do not contradict each other."""
    return (rule.max_age, rule.every, rule.length, rule.keep, rule.window)


def _secret_rules(documents: Sequence[Document]) -> list[_Entry[SecretAccessRule]]:
    return _entries(documents, SecretAccessPolicy, lambda policy: policy.rules, lambda rule: rule.secrets)


def _trust_scopes(documents: Sequence[Document]) -> list[_Entry[TrustScope]]:
    return _entries(documents, TrustPolicy, lambda policy: policy.scopes, lambda scope: scope.images)


def _rotation_rules(documents: Sequence[Document]) -> list[_Entry[RotationRule]]:
    return _entries(documents, RotationPolicy, lambda policy: policy.rules, lambda rule: rule.secrets)


def _entries(
    documents: Sequence[Document],
    kind: type[Spec],
    rules_of: Callable[[Spec], Sequence[Rule]],
    patterns_of: Callable[[Rule], Patterns],
) -> list[_Entry[Rule]]:
    """Each pattern of each rule in documents of a kind; a rule without any is for anything."""
    return [
        _Entry(document=document, index=index, rule=rule, glob=glob)
        for document in documents
        if isinstance(document.spec, kind)
        for index, rule in enumerate(rules_of(document.spec))
        for glob in patterns_of(rule) or _ANYTHING
    ]


def _equally_specific(entries: list[_Entry[Rule]]) -> Iterator[tuple[_Entry[Rule], _Entry[Rule]]]:
    """Yield the pairs of patterns that could tie: equally specific, and if exact, the same."""
    groups: defaultdict[tuple[Specificity, str], list[_Entry[Rule]]] = defaultdict(list)
    for entry in entries:
        specificity = entry.glob.specificity
        # Exact patterns meet only themselves, which spares comparing each with each.
        groups[specificity, entry.glob.text if specificity.exact else ""].append(entry)
    for group in groups.values():
        yield from combinations(group, 2)


def _secret_rules_tie(
    comparison: _Comparison, first: _Entry[SecretAccessRule], second: _Entry[SecretAccessRule]
) -> bool:
    one, two = first.rule, second.rule
    return (
        answer_of_rule(one) != answer_of_rule(two)
        and comparison.can_meet(first.glob, second.glob)
        and comparison.any_can_meet(one.services, two.services)
        and comparison.any_can_meet(one.images, two.images)
        and comparison.any_can_meet(one.nodes, two.nodes)
        and all(comparison.can_meet(one.labels[key], two.labels[key]) for key in one.labels.keys() & two.labels)
    )


def _ambiguity(first: _Entry[Rule], second: _Entry[Rule]) -> AmbiguousPolicy:
    return AmbiguousPolicy(
        f"expected one answer per request, got two that are equally specific: {first} and {second}",
        hint="make one of the patterns more specific, or let both rules answer alike",
    )
