"""How old values of secrets are, what the rotation documents in force ask of them, and which are to be replaced now.

Only a value that swarmsec drew by chance is ever replaced by another one drawn by chance: what somebody brought along
(a password that a database has to be told, a key of another program) a random text would break.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from policies.decisions import Denied
from policies.documents import Document
from policies.rotation import Age, RotationRequirement, decide_rotation, earliest_age, is_within, judge_age
from swarmsec.clock import rfc3339_seconds, unix_seconds
from swarmsec.secretstore.names import SecretName
from swarmsec.secretstore.versions import VersionState
from swarmsec.services.access.apply_policy import active_documents
from swarmsec.services.ports import Transaction
from swarmsec.services.secrets.kept_secrets import KeptSecret
from swarmsec.services.secrets.secret_records import SecretVersionRecord
from swarmsec.services.secrets.secret_rotation_records import Rotation

PAGE: Final = 500
"""Secrets that are read at one time."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judging:
    """What every secret is held against."""

    documents: Sequence[Document]
    now: int
    rotations: Mapping[str, Rotation]

    @classmethod
    def of(cls, transaction: Transaction) -> _Judging:
        return cls(
            documents=active_documents(transaction),
            now=unix_seconds(transaction.clock),
            rotations={rotation.name: rotation for rotation in transaction.secret_rotations.all()},
        )

    def page(self, transaction: Transaction, prefix: str, *, after: str, made_by: int | None) -> Sequence[SecretAge]:
        records = transaction.secrets.page(prefix, after=after, limit=PAGE, made_by=made_by)
        if not records:
            return ()
        first, last = records[0].name, records[-1].name
        versions: defaultdict[str, list[SecretVersionRecord]] = defaultdict(list)
        for version in transaction.secrets.versions_between(prefix, first, last):
            versions[version.name].append(version)
        generated = transaction.secrets.generated_between(prefix, first, last)
        return [
            self.age(
                KeptSecret(record=record, versions=tuple(versions[record.name])),
                is_generated=(record.name, record.current) in generated,
            )
            for record in records
        ]

    def pages(self, transaction: Transaction, prefix: str, made_by: int | None = None) -> Iterator[SecretAge]:
        after = ""
        while page := self.page(transaction, prefix, after=after, made_by=made_by):
            yield from page
            after = page[-1].kept.record.name

    @property
    def made_by(self) -> int | None:
        """Until when a value was made that some rule may ask to replace; None where none asks for anything."""
        age = earliest_age(self.documents)
        return None if age is None else self.now - age // timedelta(seconds=1)

    def age(self, kept: KeptSecret, *, is_generated: bool) -> SecretAge:
        decided = decide_rotation(self.documents, kept.record.name)
        requirement = None if isinstance(decided, Denied) else decided
        return SecretAge(
            kept=kept,
            requirement=requirement,
            age=None if requirement is None else judge_age(requirement, changed=kept.value_created, now=self.now),
            is_generated=is_generated,
            rotation=self.rotations.get(kept.record.name),
        )


def secret_ages(transaction: Transaction) -> Iterator[SecretAge]:
    """Every secret by name, read page by page; for as long as the transaction."""
    return _Judging.of(transaction).pages(transaction, "")


def page_of_ages(transaction: Transaction, prefix: str, after: str, *, old_ones: bool = False) -> Sequence[SecretAge]:
    """The next ``PAGE`` secrets by name, none where there are no more.

    Args:
        transaction: of this page alone, so that whoever reads slowly keeps nobody's log from being emptied.
        prefix: of names; empty for all.
        after: the last name of the page before; empty for the first.
        old_ones: only those whose value is so old that a rule may ask to replace it.
    """
    judging = _Judging.of(transaction)
    if old_ones and judging.made_by is None:
        return ()
    return judging.page(transaction, prefix, after=after, made_by=judging.made_by if old_ones else None)


def old_secrets(transaction: Transaction) -> Iterator[SecretAge]:
    """The secrets whose value is so old that a rule may ask to replace it, by name; the database finds them."""
    judging = _Judging.of(transaction)
    return iter(()) if judging.made_by is None else judging.pages(transaction, "", judging.made_by)


def age_of(transaction: Transaction, kept: KeptSecret) -> SecretAge:
    """What the documents in force ask of a secret's value, and how old it is."""
    is_generated = transaction.secrets.is_generated(kept.record.name, kept.record.current)
    return _Judging.of(transaction).age(kept, is_generated=is_generated)


def due_among(ages: Iterable[SecretAge], now: int) -> Sequence[DueRotation]:
    """Those of them whose value is to be replaced now, Unix seconds."""
    found = []
    for item in ages:
        if item.requirement is not None and _is_due(item, item.requirement, now):
            rule = item.requirement.rule
            found.append(DueRotation(name=SecretName.parse(item.kept.record.name), length=rule.length, keep=rule.keep))
    return found


def _is_due(item: SecretAge, requirement: RotationRequirement, now: int) -> bool:
    kept = item.kept
    is_live = kept.state_of(kept.record.current) is VersionState.LIVE
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
