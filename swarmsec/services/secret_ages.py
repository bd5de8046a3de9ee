"""How old values of secrets are, what the rotation documents in force ask of them, and which are to be replaced now.

Only a value that swarmsec drew by chance is ever replaced by another one drawn by chance: what somebody brought along
(a password that a database has to be told, a key of another program) a random text would break.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from policies.decisions import Denied
from policies.documents import Document
from policies.rotation import Age, RotationRequirement, decide_rotation, is_within, judge_age
from swarmsec.clock import rfc3339_seconds, unix_seconds
from swarmsec.secretstore.names import SecretName
from swarmsec.secretstore.versions import VersionState
from swarmsec.services.apply_policy import active_documents
from swarmsec.services.kept_secrets import KeptSecret, list_secrets
from swarmsec.services.ports import Transaction
from swarmsec.services.secret_rotation_records import Rotation

RETRY_SECONDS: Final = 86_400
"""After a scheduled rotation that came to nothing: each one makes tasks anew, and tasks that fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretAge:
    """A secret, what is asked of its value, and what its age means.

    Args:
        requirement, age: None where no rule covers the secret.
        is_generated: whether its current value was drawn by chance.
        rotation: the one under way, or None.
    """

    kept: KeptSecret
    requirement: RotationRequirement | None
    age: Age | None
    is_generated: bool
    rotation: Rotation | None

    @property
    def is_overdue(self) -> bool:
        """Whether the value is older than it may be."""
        return self.age is not None and self.age.is_overdue

    @property
    def is_scheduled(self) -> bool:
        """Whether ``serve`` replaces the value."""
        return self.is_generated and self.requirement is not None and self.requirement.rule.every is not None

    @property
    def rule(self) -> str:
        """The rule that decides, for people; empty for none."""
        return "" if self.requirement is None else f"{self.requirement.basis.policy} rule {self.requirement.basis.rule}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DueRotation:
    """A secret whose value is to be replaced now, by so many characters, keeping so many versions."""

    name: SecretName
    length: int
    keep: int


def secret_ages(transaction: Transaction, prefix: str = "") -> Sequence[SecretAge]:
    """Every secret whose name begins with ``prefix``, by name."""
    documents, now = active_documents(transaction), unix_seconds(transaction.clock)
    generated = transaction.secrets.all_generated(prefix)
    rotations = {rotation.name: rotation for rotation in transaction.secret_rotations.all()}
    return [
        _age(
            kept,
            documents,
            now,
            is_generated=(kept.record.name, kept.record.current) in generated,
            rotation=rotations.get(kept.record.name),
        )
        for kept in list_secrets(transaction, prefix)
    ]


def age_of(transaction: Transaction, kept: KeptSecret) -> SecretAge:
    """What the documents in force ask of a secret's value, and how old it is."""
    return _age(
        kept,
        active_documents(transaction),
        unix_seconds(transaction.clock),
        is_generated=transaction.secrets.is_generated(kept.record.name, kept.record.current),
        rotation=transaction.secret_rotations.get(kept.record.name),
    )


def _age(
    kept: KeptSecret, documents: Sequence[Document], now: int, *, is_generated: bool, rotation: Rotation | None
) -> SecretAge:
    decided = decide_rotation(documents, kept.record.name)
    requirement = None if isinstance(decided, Denied) else decided
    return SecretAge(
        kept=kept,
        requirement=requirement,
        age=None if requirement is None else judge_age(requirement, changed=kept.value_created, now=now),
        is_generated=is_generated,
        rotation=rotation,
    )


def due_rotations(transaction: Transaction) -> Sequence[DueRotation]:
    """The secrets whose value is to be replaced now, by name."""
    return due_among(secret_ages(transaction), unix_seconds(transaction.clock))


def due_among(ages: Sequence[SecretAge], now: int) -> Sequence[DueRotation]:
    """Those of them whose value is to be replaced now, Unix seconds."""
    found = []
    for item in ages:
        if item.requirement is not None and _is_due(item, item.requirement, now):
            rule = item.requirement.rule
            found.append(DueRotation(name=SecretName.parse(item.kept.record.name), length=rule.length, keep=rule.keep))
    return found


def _is_due(item: SecretAge, requirement: RotationRequirement, now: int) -> bool:
    kept = item.kept
    is_live = kept.history.state_of(kept.record.current) is VersionState.LIVE
    if item.rotation is not None or not item.is_scheduled or not is_live:
        return False
    if item.age is None or not item.age.is_due or not is_within(requirement.rule.window, now):
        return False
    newest = kept.versions[-1]
    # A version newer than the current one is what is left of a rotation that came to nothing.
    return newest.version == kept.record.current or now - newest.created >= RETRY_SECONDS


def describe_age(item: SecretAge) -> dict[str, object]:
    """What ``secrets list`` and ``show --json`` say of a secret's age."""
    rotation: dict[str, object] | None = None
    if item.age is not None:
        due = item.age.due if item.is_scheduled else None
        rotation = {
            "overdue": item.age.is_overdue,
            "overdue_at": rfc3339_seconds(item.age.overdue),
            "due_at": None if due is None else rfc3339_seconds(due),
            "rule": item.rule,
        }
    stage = None if item.rotation is None else item.rotation.stage.value
    return {"generated": item.is_generated, "rotation": rotation, "rotating": stage}
