"""When a secret's value is to be replaced: the rule that decides, and what the age of a value means under it.

The rule with the most specific matching pattern decides; rules that are equally specific must answer alike. No document
or no matching rule means that nobody replaces the value and nobody reports its age.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from policies.checking import answer_of_rotation
from policies.decisions import Basis, DenialCode, Denied
from policies.documents import Document, RotationPolicy, RotationRule, Window
from policies.globs import MAX_NAME_LENGTH
from policies.weighing import Weighed, deciding_scopes, weighed_scope

GRACE = timedelta(days=1)
"""How long past its time a scheduled replacement may be before it is overdue, where its rule names no maximum age: a
window comes once a day."""
_DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class RotationQuestion:
    """Asks about the rotation of one secret, by its name."""

    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationRequirement:
    """What is asked of a secret's value; ``basis`` is the rule that says so."""

    rule: RotationRule
    basis: Basis

    @property
    def allowed_age(self) -> timedelta:
        """The age from which a value is overdue."""
        return _allowed_age(self.rule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Age:
    """What the age of a value means.

    Args:
        due: when it is to be replaced, Unix seconds; None where no schedule replaces it.
        overdue: from when on it is overdue, Unix seconds.
        is_due, is_overdue: whether that is past.
    """

    due: int | None
    overdue: int
    is_due: bool
    is_overdue: bool


def decide_rotation(documents: Sequence[Document], secret: str) -> RotationRequirement | Denied:
    """Decide what is asked of a secret's value.

    Args:
        documents: all documents in force; other kinds are passed over.
        secret: its name.

    Returns:
        the requirement, or a denial: no schedule and no maximum age.
    """
    return settle_rotation(weigh_rotation(documents, secret), secret)


def weigh_rotation(documents: Sequence[Document], secret: str) -> tuple[Weighed[RotationRule], ...]:
    """Hold every rule against the secret, in the order of documents and rules."""
    return tuple(
        weighed_scope(document, index, rule, rule.secrets, name=secret, field="secrets")
        for document in documents
        if isinstance(document.spec, RotationPolicy)
        for index, rule in enumerate(document.spec.rules)
    )


def settle_rotation(weighed: Sequence[Weighed[RotationRule]], secret: str) -> RotationRequirement | Denied:
    """Decide over weighed rules; see ``decide_rotation``."""
    if not 0 < len(secret) <= MAX_NAME_LENGTH:
        return Denied(reason="expected the name of a secret, got none or too long", code=DenialCode.INVALID_REQUEST)
    if not weighed:
        return Denied(reason="no rotation policy is in force", code=DenialCode.NO_DOCUMENT)
    deciding = deciding_scopes(weighed)
    if not deciding:
        return Denied(reason="no rotation rule covers the secret", code=DenialCode.NO_RULE)
    if len({answer_of_rotation(item.rule) for item in deciding}) > 1:
        named = " and ".join(f"{item.document.name} rule {item.index}" for item in deciding)
        return Denied(reason=f"equally specific rules disagree: {named}", code=DenialCode.AMBIGUOUS)
    return RotationRequirement(rule=deciding[0].rule, basis=deciding[0].basis)


def judge_age(requirement: RotationRequirement, *, changed: int, now: int) -> Age:
    """Say what a value's age means.

    Args:
        requirement: what is asked of it.
        changed: when the value was made, Unix seconds.
        now: Unix seconds.
    """
    every = requirement.rule.every
    due = None if every is None else changed + _seconds(every)
    overdue = changed + _seconds(requirement.allowed_age)
    return Age(due=due, overdue=overdue, is_due=due is not None and due <= now, is_overdue=overdue <= now)


def earliest_age(documents: Sequence[Document]) -> timedelta | None:
    """The age below which no value of any secret is due or overdue; None where no rule asks for anything.

    Args:
        documents: all documents in force; other kinds are passed over.
    """
    ages = [
        min(rule.every or _allowed_age(rule), _allowed_age(rule))
        for document in documents
        if isinstance(document.spec, RotationPolicy)
        for rule in document.spec.rules
    ]
    return min(ages, default=None)


def is_within(window: Window | None, now: int) -> bool:
    """Whether a moment, in Unix seconds, lies in a window of the day; None is always open."""
    if window is None:
        return True
    minute = now // 60 % _DAY_MINUTES
    if window.begin < window.end:
        return window.begin <= minute < window.end
    return minute >= window.begin or minute < window.end


def _allowed_age(rule: RotationRule) -> timedelta:
    return rule.max_age if rule.max_age is not None else (rule.every or timedelta(0)) + GRACE


def _seconds(age: timedelta) -> int:
    return age // timedelta(seconds=1)
