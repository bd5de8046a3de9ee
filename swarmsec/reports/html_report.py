"""The report as one HTML file: no remote asset, readable without scripts, printable, everything escaped."""

from __future__ import annotations

from importlib import resources
from typing import Any, Final

from policies.controls import Severity
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
_ORDER: Final = (
    State.FAIL,
    State.ERROR,
    State.MANUAL,
    State.WAIVED,
    State.NOT_CHECKED,
    State.PASS,
    State.NOT_APPLICABLE,
)


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
    text = environment.get_template("report").render(
        report=report,
        words=WORDS,
        summary=summary_of(report),
        severities=[(severity, len(_failures(report, severity))) for severity in Severity],
        sections=[(name, _sorted(results)) for name, results in report.sections],
        ranks={state: index for index, state in enumerate(_ORDER)},
    )
    return text.encode("utf-8", "xmlcharrefreplace")


def summary_of(report: Report) -> list[str]:
    """What somebody who reads no tables must know, in a few sentences."""
    counts = report.counts
    checked = counts[State.PASS] + counts[State.FAIL] + counts[State.WAIVED]
    urgent = len(report.failures(Severity.HIGH))
    sentences = [f"{checked} checks looked at something; {counts[State.PASS]} found it as it should be."]
    if counts[State.FAIL]:
        what = f"{urgent} of them high or critical" if urgent else "none of them high or critical"
        sentences.append(f"{counts[State.FAIL]} failed, {what}.")
    else:
        sentences.append("None failed.")
    open_ones = counts[State.NOT_CHECKED] + counts[State.ERROR] + counts[State.MANUAL]
    if open_ones:
        sentences.append(f"{open_ones} could not be told from here; they are listed and count as neither good nor bad.")
    return sentences


def _failures(report: Report, severity: Severity) -> list[Result]:
    return [r for r in report.results if r.state is State.FAIL and r.control.severity is severity]


def _sorted(results: Any) -> list[Result]:
    return sorted(results, key=lambda result: (_ORDER.index(result.state), result.control.severity.rank))
