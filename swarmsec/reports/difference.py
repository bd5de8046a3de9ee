"""What became better or worse between two reports: the former as the JSON that it was written as, the new one itself.

Results are the same thing in both where their fingerprints are equal: the control and what it was held against. Going
from or to a state that says nothing (not checked, not applicable, for a person) is a change and neither good nor bad.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from swarmsec.errors import UsageProblem
from swarmsec.plaintext import plain
from swarmsec.reports.model import SCHEMA_VERSION, Report, State

MAX_REPORT_BYTES: Final = 64 << 20
WIDTH: Final = 80
_GOOD: Final = frozenset({State.PASS})
_BAD: Final = frozenset({State.FAIL, State.ERROR})


class Trend(StrEnum):
    """How a result moved."""

    WORSE = "worse"
    BETTER = "better"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerResult:
    """A result of the former report."""

    check_id: str
    label: str
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerReport:
    """The former report: when it was made, and its results by fingerprint."""

    created: str
    profile: str
    store_id: str
    results: Mapping[str, FormerResult]


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One result that is not what it was; ``before`` or ``after`` is None where it was not there."""

    trend: Trend
    check_id: str
    label: str
    before: State | None
    after: State | None


def load_report(data: bytes, *, source: str = "report") -> FormerReport:
    """Read a report that was written as JSON.

    Args:
        data: at most ``MAX_REPORT_BYTES``.
        source: its name for errors.

    Raises:
        UsageProblem: it is none of this version.
    """
    try:
        if len(data) > MAX_REPORT_BYTES:
            raise ValueError("too long")
        document = json.loads(data)
        if document["schema_version"] != SCHEMA_VERSION:
            raise ValueError("another version")
        results = {_text(item["fingerprint"]): _result(item) for item in document["results"]}
        return FormerReport(
            created=_text(document["created"]),
            profile=_text(document["profile"]),
            store_id=_text(document["store_id"]),
            results=results,
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UsageProblem(
            f"{plain(source, 120)}: expected a report in JSON of schema version {SCHEMA_VERSION}",
            hint="make one with: swarmsec audit report --format json -o FILE",
        ) from None


def compare_reports(former: FormerReport, present: Report) -> tuple[Move, ...]:
    """Every result that moved: the worse ones first, then the better ones, then the others.

    Raises:
        UsageProblem: the reports are of different homes or profiles.
    """
    if (former.store_id, former.profile) != (present.store_id, present.profile):
        raise UsageProblem(
            "expected two reports of the same home and profile",
            hint=f"the former is of profile {plain(former.profile, 80)}",
        )
    moves = []
    seen = set()
    for result in present.results:
        seen.add(result.fingerprint)
        known = former.results.get(result.fingerprint)
        before = known.state if known else None
        if before is not result.state:
            moves.append(
                Move(
                    trend=_trend(before, result.state),
                    check_id=result.control.id,
                    label=result.resource.label,
                    before=before,
                    after=result.state,
                )
            )
    for fingerprint, gone in former.results.items():
        if fingerprint not in seen:
            trend = _trend(gone.state, None)
            moves.append(Move(trend=trend, check_id=gone.check_id, label=gone.label, before=gone.state, after=None))
    return tuple(sorted(moves, key=lambda move: list(Trend).index(move.trend)))


def render_moves_text(former: FormerReport, moves: tuple[Move, ...]) -> bytes:
    """The moves in lines of 80 characters."""
    counts = ", ".join(f"{sum(move.trend is trend for move in moves)} {trend}" for trend in Trend)
    lines = [f"since {plain(former.created, 40)}: {counts}"]
    for trend in Trend:
        found = [move for move in moves if move.trend is trend]
        if found:
            lines += ["", trend.value.upper()]
        for move in found:
            text = f"{plain(move.check_id, 20)} {plain(move.label, 160)}: {_word(move.before)} -> {_word(move.after)}"
            lines += textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="    ")
    return ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace")


def render_moves_json(former: FormerReport, moves: tuple[Move, ...]) -> bytes:
    """The moves as one JSON document."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "since": former.created,
        "profile": former.profile,
        "moves": [
            {
                "trend": move.trend.value,
                "check_id": move.check_id,
                "resource": move.label,
                "before": move.before.value if move.before else None,
                "after": move.after.value if move.after else None,
            }
            for move in moves
        ],
    }
    return (json.dumps(document, indent=2) + "\n").encode()


def _trend(before: State | None, after: State | None) -> Trend:
    if after in _BAD:
        return Trend.CHANGED if before in _BAD else Trend.WORSE
    if before in _BAD:
        return Trend.BETTER
    if before in _GOOD and after is State.WAIVED:
        return Trend.WORSE
    return Trend.CHANGED


def _word(state: State | None) -> str:
    return "not there" if state is None else state.value.replace("_", " ")


def _result(item: Any) -> FormerResult:
    resource = item["resource"]
    name = resource["name"] or resource["id"] or ""
    label = f"{_text(resource['type'])} {_text(name)}".strip()
    return FormerResult(check_id=_text(item["check_id"]), label=label, state=State(item["status"]))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("expected a text")
    return value
