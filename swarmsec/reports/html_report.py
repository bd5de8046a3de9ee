"""The report as one HTML file: no remote asset, readable without scripts, printable, everything escaped.

First what somebody must know who reads no tables: a verdict, what to do first, how each group stands. Then every
result; what needs nobody is folded, and so is the evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final

from policies.controls import Control, Severity
from swarmsec.plaintext import plain
from swarmsec.reports.model import Report, Result, State

WORDS: Final = {
    State.PASS: "pass",
    State.FAIL: "fail",
    State.ERROR: "could not be read",
    State.MANUAL: "for a person",
    State.WAIVED: "waived",
    State.NOT_CHECKED: "not checked",
    State.NOT_APPLICABLE: "not applicable",
}
SIGNS: Final = {
    State.PASS: "✓",
    State.FAIL: "✕",
    State.ERROR: "!",
    State.MANUAL: "?",
    State.WAIVED: "~",
    State.NOT_CHECKED: "–",
    State.NOT_APPLICABLE: "·",
}
"""A sign beside each word, so that no state is told by its colour alone."""
LOOKS: Final = {
    State.FAIL: "bad",
    State.ERROR: "bad",
    State.MANUAL: "warn",
    State.WAIVED: "warn",
    State.NOT_CHECKED: "calm",
    State.PASS: "good",
    State.NOT_APPLICABLE: "calm",
}
MAX_URGENT: Final = 10
MAX_NAMED: Final = 4
_FOLDED: Final = {
    State.NOT_CHECKED: "not checked",
    State.PASS: "as they should be",
    State.NOT_APPLICABLE: "not applicable here",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A state's part of all results."""

    look: str
    words: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Urgent:
    """A failed control, and where it failed."""

    control: Control
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Results that need nobody, in a word."""

    words: str
    results: Sequence[Result]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The results under one heading: those that need somebody, and the others folded."""

    name: str
    failed: int
    open: int
    passed: int
    shown: Sequence[Result]
    folds: Sequence[Fold]

    @property
    def instead(self) -> str:
        """What is said where no result needs somebody; what could not be looked at is not called good."""
        if not self.open:
            return "Nothing here needs anybody."
        return "What could be told from here is as it should be." if self.passed else "Nothing could be told from here."


def render_html(report: Report) -> bytes:
    """Write the report; the same report gives the same bytes."""
    from jinja2 import DictLoader, Environment, StrictUndefined

    source = resources.files("swarmsec.reports").joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = Environment(
        loader=DictLoader({"report": source}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["plain"] = plain
    urgent = urgent_of(report)
    text = environment.get_template("report").render(
        report=report,
        words=WORDS,
        signs=SIGNS,
        ranks={state: index for index, state in enumerate(LOOKS)},
        summary=summary_of(report),
        verdict=_verdict(report),
        shares=[
            Share(look=look, words=WORDS[state], count=report.counts[state])
            for state, look in LOOKS.items()
            if report.counts[state]
        ],
        urgent=urgent[:MAX_URGENT],
        more_urgent=len(urgent[MAX_URGENT:]),
        groups=[_group(name, results) for name, results in report.sections],
    )
    return text.lstrip("\n").encode("utf-8", "xmlcharrefreplace")


def summary_of(report: Report) -> list[str]:
    """What somebody who reads no tables must know, in a few sentences; the first is the verdict."""
    counts, failed = report.counts, report.counts[State.FAIL]
    looked = counts[State.PASS] + failed + counts[State.WAIVED]
    if failed:
        first = f"{failed} of {looked} checks failed, {_worst(report)}."
    elif looked:
        first = f"None of {looked} checks failed."
    else:
        first = "Nothing could be checked."
    sentences = [first, f"{counts[State.PASS]} {'is as it' if counts[State.PASS] == 1 else 'are as they'} should be."]
    if counts[State.WAIVED]:
        sentences.append(f"For {counts[State.WAIVED]} that fail somebody answers until a date.")
    if counts[State.ERROR]:
        sentences.append(f"{counts[State.ERROR]} should have been read and could not be: this report is incomplete.")
    unknown = counts[State.NOT_CHECKED] + counts[State.MANUAL]
    if unknown:
        sentences.append(f"{unknown} could not be told from here; they are listed and count as neither good nor bad.")
    return sentences


def urgent_of(report: Report) -> Sequence[Urgent]:
    """Every failed control once, the worst first, with the names of what it failed for."""
    found: dict[str, list[Result]] = {}
    for result in sorted(report.results, key=lambda result: result.control.severity.rank):
        if result.state is State.FAIL:
            found.setdefault(result.control.id, []).append(result)
    return [Urgent(control=results[0].control, where=_where(results)) for results in found.values()]


def _where(results: Sequence[Result]) -> str:
    if len(results) == 1:
        return f"{results[0].resource.label}: {results[0].observed}"
    named = ", ".join(plain(result.resource.label, 80) for result in results[:MAX_NAMED])
    more = f" and {len(results) - MAX_NAMED} more" if len(results) > MAX_NAMED else ""
    return f"{named}{more}"


def _verdict(report: Report) -> str:
    if report.counts[State.FAIL]:
        return "bad"
    return "open" if report.is_incomplete or not report.counts[State.PASS] else "good"


def _worst(report: Report) -> str:
    """How bad the failures are, in words."""
    critical, high = (_failures(report, severity) for severity in (Severity.CRITICAL, Severity.HIGH))
    told = [f"{count} {word}" for count, word in ((critical, "critical"), (high, "high")) if count]
    return f"{' and '.join(told)} among them" if told else "none of them high or critical"


def _failures(report: Report, severity: Severity) -> int:
    return sum(result.state is State.FAIL and result.control.severity is severity for result in report.results)


def _group(name: str, results: Iterable[Result]) -> Group:
    by_state: Mapping[State, list[Result]] = {state: [] for state in LOOKS}
    for result in results:
        by_state[result.state].append(result)
    for found in by_state.values():
        found.sort(key=lambda result: result.control.severity.rank)
    shown = [result for state, found in by_state.items() if state not in _FOLDED for result in found]
    return Group(
        name=name,
        failed=len(by_state[State.FAIL]),
        open=len(shown) - len(by_state[State.FAIL]) + len(by_state[State.NOT_CHECKED]),
        passed=len(by_state[State.PASS]),
        shown=shown,
        folds=[Fold(words=words, results=by_state[state]) for state, words in _FOLDED.items() if by_state[state]],
    )
