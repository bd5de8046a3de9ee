"""What a report is: one result for each control and thing that it was held against.

Every result says what was found and what was expected. There is no "pass" without something that was looked at: what
could not be read is ``error``, what nobody was asked to read is ``not_checked``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from policies.controls import Control, Severity

SCHEMA_VERSION: Final = 1


class State(StrEnum):
    """How a control stands."""

    PASS = "pass"  # noqa: S105  # the word of a state
    FAIL = "fail"
    ERROR = "error"
    NOT_APPLICABLE = "not_applicable"
    NOT_CHECKED = "not_checked"
    MANUAL = "manual"
    WAIVED = "waived"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Resource:
    """What a result is about; ``type`` is ``home``, ``swarm``, ``node``, ``service``, ``network``, ``secret`` …"""

    type: str
    id: str = ""
    name: str = ""

    @property
    def label(self) -> str:
        """The thing as people call it."""
        return f"{self.type} {self.name or self.id}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The raw answer behind results: where it came from, and the SHA-256 of its bytes."""

    source: str
    query: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check says of one thing."""

    state: State
    resource: Resource
    observed: str
    expected: str
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    """Of this finding alone; else that of what its check reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A finding under its control."""

    control: Control
    state: State
    resource: Resource
    observed: str
    expected: str
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    waiver_id: str = ""
    waiver_expires: int = 0
    """When the waiver ends, Unix seconds; 0 without one."""

    @property
    def fingerprint(self) -> str:
        """The same for the same control and thing in every report: 32 hex digits."""
        parts = (self.control.id, self.resource.type, self.resource.id or self.resource.name)
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A whole report.

    Args:
        created: RFC 3339, UTC.
        profile: the name of its profile.
        cluster_id: of the Swarm; empty where there is none.
        checkpoint: the newest signed checkpoint of the log as text; empty for none.
        log_size: entries of the log when it was made.
        results: in the order of the catalogue.
        notices: what has to be said of the waivers.
        quorum_margin: managers that may be lost before the Swarm loses its quorum; None where they were not read.
    """

    created: str
    version: str
    profile: str
    store_id: str
    cluster_id: str
    checkpoint: str
    log_size: int
    results: tuple[Result, ...]
    notices: tuple[str, ...] = ()
    quorum_margin: int | None = None

    @property
    def counts(self) -> Mapping[State, int]:
        """How many results there are of each state; every state is named."""
        return {state: sum(result.state is state for result in self.results) for state in State}

    def failures(self, severity: Severity) -> Sequence[Result]:
        """What failed with this severity or a worse one."""
        return [r for r in self.results if r.state is State.FAIL and r.control.severity.rank <= severity.rank]

    @property
    def is_incomplete(self) -> bool:
        """Whether something that should have been read could not be."""
        return any(result.state is State.ERROR for result in self.results)

    @property
    def sections(self) -> Sequence[tuple[str, Sequence[Result]]]:
        """The results under their headings, in the order in which the headings first come."""
        found: dict[str, list[Result]] = {}
        for result in self.results:
            found.setdefault(result.control.section, []).append(result)
        return list(found.items())
