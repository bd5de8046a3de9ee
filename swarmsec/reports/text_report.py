"""The report as text: what is wrong first, each with what to do; then the rest as counts."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import Final

from policies.controls import Severity
from swarmsec.plaintext import plain
from swarmsec.reports.model import Report, Result, State

WIDTH: Final = 80
_WORDS: Final = {
    State.PASS: "pass",
    State.FAIL: "fail",
    State.ERROR: "could not be read",
    State.MANUAL: "for a person",
    State.WAIVED: "waived",
    State.NOT_CHECKED: "not checked",
    State.NOT_APPLICABLE: "not applicable",
}
_SHOWN: Final = (State.MANUAL, State.WAIVED)


def render_text(report: Report) -> bytes:
    """Write the report in lines of 80 characters."""
    return ("\n".join(_lines(report)) + "\n").encode("utf-8", "backslashreplace")


def _lines(report: Report) -> Iterator[str]:
    about = f"cluster {report.cluster_id}" if report.cluster_id else f"store {report.store_id}"
    yield f"{report.profile}: {about}, {report.created}"
    counts = ", ".join(f"{count} {_WORDS[state]}" for state, count in report.counts.items() if count)
    yield from textwrap.wrap(counts or "no controls", WIDTH)
    for severity in Severity:
        failures = [r for r in report.results if r.state is State.FAIL and r.control.severity is severity]
        if failures:
            yield ""
            yield f"{severity.value.upper()}"
            yield from _by_control(failures)
    errors = [result for result in report.results if result.state is State.ERROR]
    if errors:
        yield ""
        yield _WORDS[State.ERROR].upper()
        yield from _by_reason(errors)
    for state in _SHOWN:
        found = [result for result in report.results if result.state is state]
        if found:
            yield ""
            yield _WORDS[state].upper()
            yield from _by_control(found)
    if report.notices:
        yield ""
        yield "WAIVERS AND ATTESTATIONS"
        for notice in report.notices:
            yield from _wrapped(plain(notice), 2)
    yield ""
    yield f"log: {report.log_size} entries; hold this report against it with: swarmsec audit verify"


def _by_control(results: Iterable[Result]) -> Iterator[str]:
    last = ""
    for result in results:
        control = result.control
        if control.id != last:
            last = control.id
            yield f"  {control.id} {control.title}"
            yield from _wrapped(f"to do: {control.remedy}", 4)
        yield from _wrapped(f"{plain(result.resource.label, 120)}: {plain(result.observed)}", 6)
        if result.reason:
            yield from _wrapped(plain(result.reason), 8)


def _by_reason(results: Iterable[Result]) -> Iterator[str]:
    controls: dict[str, list[str]] = {}
    for result in results:
        ids = controls.setdefault(result.reason, [])
        if result.control.id not in ids:
            ids.append(result.control.id)
    for reason, ids in controls.items():
        yield from _wrapped(plain(reason), 2)
        yield from _wrapped(f"so nothing is known of {', '.join(ids)}", 4)


def _wrapped(text: str, indent: int) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * (indent + 2), break_long_words=True
    )
