"""Why a decision came out as it did: every rule in order, and what became of it.

Built from the same weighing that decides, so it shows what happened and not a retelling.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TypeAlias, TypeVar

from policies.decisions import Allowed, Basis, Denied
from policies.documents import Document, RotationRule, SecretAccessRule, TrustScope
from policies.rotation import RotationQuestion, RotationRequirement, settle_rotation, weigh_rotation
from policies.secret_access import SecretRequestFacts, deciding_rules, settle, silenced_rules, weigh
from policies.trust import TrustRequirement, settle_trust, weigh_trust
from policies.weighing import Weighed, deciding_scopes

Rule = TypeVar("Rule")
Question: TypeAlias = SecretRequestFacts | RotationQuestion | str
"""The facts of a request for a secret, a question about its rotation, or the repository of an image."""


Decision: TypeAlias = Allowed | TrustRequirement | RotationRequirement | Denied


class Outcome(StrEnum):
    """What became of a rule."""

    NOT_MATCHED = "not matched"
    SILENCED = "silenced"
    LESS_SPECIFIC = "less specific"
    DECIDED = "decided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One rule that was considered; ``detail`` says for people what it answers or why it did not count."""

    basis: Basis
    outcome: Outcome
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Every rule in the order of documents and rules, and the decision."""

    steps: tuple[Step, ...]
    decision: Decision


def explain(documents: Sequence[Document], question: Question) -> Explanation:
    """Decide, and show how.

    Args:
        documents: all documents in force.
        question: one of ``Question``.

    Returns:
        the steps, and exactly the decision of ``decide_secret_access``, ``decide_rotation`` or ``decide_trust_scope``.
    """
    if isinstance(question, SecretRequestFacts):
        return _explain_secret(documents, question)
    if isinstance(question, RotationQuestion):
        return _explain_rotation(documents, question.secret)
    return _explain_trust(documents, question)


def _explain_secret(documents: Sequence[Document], facts: SecretRequestFacts) -> Explanation:
    weighed = weigh(documents, facts)
    silenced = {item.basis for item in silenced_rules(weighed)}
    deciding = {item.basis for item in deciding_rules(weighed)}
    steps = tuple(_step(item, silenced, deciding, _rule_text(item.rule)) for item in weighed)
    return Explanation(steps=steps, decision=settle(weighed, facts))


def _explain_trust(documents: Sequence[Document], image: str) -> Explanation:
    weighed = weigh_trust(documents, image)
    deciding = {item.basis for item in deciding_scopes(weighed)}
    steps = tuple(_step(item, frozenset(), deciding, _scope_text(item.rule)) for item in weighed)
    return Explanation(steps=steps, decision=settle_trust(weighed, image))


def _explain_rotation(documents: Sequence[Document], secret: str) -> Explanation:
    weighed = weigh_rotation(documents, secret)
    deciding = {item.basis for item in deciding_scopes(weighed)}
    steps = tuple(_step(item, frozenset(), deciding, rotation_text(item.rule)) for item in weighed)
    return Explanation(steps=steps, decision=settle_rotation(weighed, secret))


def _step(item: Weighed[Rule], silenced: Collection[Basis], deciding: Collection[Basis], answer: str) -> Step:
    if not item.is_match:
        return Step(basis=item.basis, outcome=Outcome.NOT_MATCHED, detail=f"{item.mismatch} does not cover the request")
    if item.basis in silenced:
        return Step(basis=item.basis, outcome=Outcome.SILENCED, detail="a rule of the same document denies")
    if item.basis not in deciding:
        return Step(basis=item.basis, outcome=Outcome.LESS_SPECIFIC, detail="a more specific rule matches as well")
    return Step(basis=item.basis, outcome=Outcome.DECIDED, detail=answer)


def _rule_text(rule: SecretAccessRule) -> str:
    needs = ((rule.require_attached, "an attached service"), (rule.require_trusted_image, "a trusted image"))
    wanted = " and ".join(text for needed, text in needs if needed)
    return f"{rule.effect} for {wanted}" if wanted and rule.effect == "allow" else str(rule.effect)


def _scope_text(scope: TrustScope) -> str:
    age = "" if scope.max_age is None else f", signatures of the last {_age_text(scope.max_age)}"
    return f"{scope.level}, {scope.min_signers} signer{'s' if scope.min_signers > 1 else ''}{age}"


def rotation_text(rule: RotationRule) -> str:
    """What a rotation rule asks for, for people."""
    parts = []
    if rule.every is not None:
        parts.append(f"replaced every {_age_text(rule.every)}")
    if rule.max_age is not None:
        parts.append(f"at most {_age_text(rule.max_age)} old")
    if rule.window is not None:
        begin, end = (f"{minute // 60:02}:{minute % 60:02}" for minute in (rule.window.begin, rule.window.end))
        parts.append(f"from {begin} to {end} UTC")
    return ", ".join(parts)


def _age_text(age: timedelta) -> str:
    for unit, letter in ((timedelta(days=1), "d"), (timedelta(hours=1), "h")):
        if not age % unit:
            return f"{age // unit} {letter}"
    return f"{age // timedelta(seconds=1)} s"
