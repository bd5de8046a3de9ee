"""What a report is made from: facts of the home as values, and Docker's answers as the JSON that they are.

A part that could not be read holds the reason; asking for it raises ``Unknown``, and the controls that need it say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from swarmsec.reports.host_report import HostReport
from swarmsec.reports.model import Evidence, State

Json: TypeAlias = Mapping[str, Any]


class Unknown(Exception):
    """A fact is not there; ``state`` says whether it should have been."""

    def __init__(self, state: State, reason: str) -> None:
        super().__init__(reason)
        self.state = state
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer of the manager: the document and its evidence, or why there is none."""

    document: Any = None
    evidence: Evidence | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFact:
    """The newest or an older certificate of somebody. Times in Unix seconds."""

    subject_id: str
    role: str
    serial: str
    status: str
    is_newest: bool
    is_overdue: bool
    not_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationFact:
    """A rotation of the root that is under way.

    Args:
        started: when it was begun, Unix seconds; 0 where that is not on record.
        waiting: how many nodes are waited for; None where the Swarm itself decides that.
    """

    started: int
    waiting: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRoleFact:
    """One role of the trust repository."""

    role: str
    threshold: int
    keys: int
    custody: str
    expires: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretFact:
    """A secret and when its value last changed.

    Args:
        overdue: from when on its value is overdue by a rotation policy; 0 where none covers it.
        rule: which one, for people.
    """

    name: str
    changed: int
    overdue: int = 0
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFact:
    """How the home's trust repository sees an image now.

    Args:
        standing: ``trusted``, ``unpinned``, ``unsigned``, ``revoked``, ``untrusted`` or ``unknown``.
        reason: why it is not trusted; empty where it is.
        is_asked: whether the policy asks for a signature of it at all.
    """

    standing: str
    reason: str
    is_asked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFact:
    """What the agent of a node says of its host.

    Args:
        node: as the agent's certificate names it.
        last_seen: when it last said so, Unix seconds.
        sha256: of what it said, lower-case hex.
        report: what it said; None where it cannot be read, for the reason in ``problem``.
    """

    node: str
    last_seen: int
    sha256: str
    report: HostReport | None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeFacts:
    """What the home knows. Times in Unix seconds, 0 for never; lists are None where the part is not in use.

    Args:
        log_problem: why the log or store failed its check; empty if it is whole.
        anchor_present: whether the rollback anchor exists.
        anchor_apart: whether it lies on another file system than the home.
    """

    now: int
    store_id: str
    cluster_id: str
    log_size: int
    log_problem: str
    checkpoint: str
    witnesses: int
    anchor_present: bool
    anchor_apart: bool
    last_backup: int
    short_lifetimes: bool
    has_authority: bool
    root_not_after: int
    root_in_token: bool
    crl_next_update: int
    certificates: tuple[CertificateFact, ...]
    standing_tokens: Mapping[str, int]
    """Role to when its standing token was made."""
    trust_roles: tuple[TrustRoleFact, ...] | None
    secrets: tuple[SecretFact, ...]
    unlock_key_rotated: int
    rotation: RotationFact | None = None
    """The rotation of the root that is under way."""
    images: Mapping[str, ImageFact] = field(default_factory=dict)
    """Image as a service names it to how it stands."""
    hosts: tuple[HostFact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the manager answered.

    Args:
        answers: path to what it answered; None where no manager was asked.
    """

    answers: Mapping[str, Answer] | None

    def document(self, path: str) -> Any:
        """What the manager answered under a path.

        Raises:
            Unknown: nobody was asked, or it could not be read.
        """
        if self.answers is None:
            raise Unknown(State.NOT_CHECKED, "no manager was asked")
        answer = self.answers.get(path)
        if answer is None or answer.problem:
            raise Unknown(State.ERROR, answer.problem if answer else f"{path} was not read")
        return answer.document

    def objects(self, path: str) -> Sequence[Json]:
        """A list of objects that the manager answered.

        Raises:
            Unknown: as ``document``, or it is no such list.
        """
        document = self.document(path)
        if document is None:
            return []
        if not isinstance(document, list) or not all(isinstance(item, Mapping) for item in document):
            raise Unknown(State.ERROR, f"{path} is not the list that Docker Engine gives")
        return document

    def object(self, path: str) -> Json:
        """One object that the manager answered.

        Raises:
            Unknown: as ``document``, or it is none.
        """
        document = self.document(path)
        if not isinstance(document, Mapping):
            raise Unknown(State.ERROR, f"{path} is not the object that Docker Engine gives")
        return document

    def evidence(self, paths: Sequence[str]) -> tuple[Evidence, ...]:
        """The evidence behind what was read under these paths."""
        answers = self.answers or {}
        found = (answers[path].evidence for path in paths if path in answers)
        return tuple(item for item in found if item is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts(Answers):
    """Everything that checks may ask for."""

    home: HomeFacts


def part(value: Any, *path: str) -> Any:
    """A member of a member; None where one of them is not there or is no object."""
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def text(value: Any, *path: str) -> str:
    """A text of a member; empty where there is none."""
    found = part(value, *path)
    return found if isinstance(found, str) else ""


def listed(value: Any, *path: str) -> Sequence[Any]:
    """A list of a member; empty where there is none."""
    found = part(value, *path)
    return found if isinstance(found, list) else []


def labels(value: Any, *path: str) -> Mapping[str, str]:
    """Labels of a member; only texts."""
    found = part(value, *path)
    members = found.items() if isinstance(found, Mapping) else ()
    return {str(key): item for key, item in members if isinstance(item, str)}
