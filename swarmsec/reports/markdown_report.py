"""The report as Markdown that fits a pull request: at most 65,000 characters, what is wrong first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from swarmsec.plaintext import plain
from swarmsec.reports.model import Report, Result, State

MAX_CHARACTERS: Final = 65_000
_TAIL: Final = 400
_MEANT: Final = "\\`*_{}[]()#+-.!|<>&~@:"
_SHOWN: Final = (State.FAIL, State.ERROR, State.MANUAL, State.WAIVED)


def render_markdown(report: Report) -> bytes:
    """Write the report; what does not fit is counted."""
    lines, size, left_out = [], 0, 0
    for line in _lines(report):
        size += len(line) + 1
        if size > MAX_CHARACTERS - _TAIL:
            left_out += line.startswith("| ")
        else:
            lines.append(line)
    if left_out:
        lines += ["", f"{left_out} more results do not fit here; the JSON report has them."]
    lines += ["", f"Log: {report.log_size} entries. Check it with `swarmsec audit verify`."]
    return ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace")


def _lines(report: Report) -> Iterator[str]:
    yield f"# Security report: {_escaped(report.profile)}"
    yield ""
    yield f"Cluster `{report.cluster_id or 'none'}`, {report.created}."
    yield ""
    yield "| " + " | ".join(state.value.replace("_", " ") for state in State) + " |"
    yield "|" + " ---: |" * len(State)
    yield "| " + " | ".join(str(report.counts[state]) for state in State) + " |"
    for state in _SHOWN:
        found = sorted(
            (result for result in report.results if result.state is state), key=lambda r: r.control.severity.rank
        )
        if found:
            yield ""
            yield f"## {state.value}"
            yield ""
            yield "| severity | control | what | found | expected |"
            yield "| --- | --- | --- | --- | --- |"
            yield from map(_row, found)
    if report.notices:
        yield ""
        yield "## waivers and attestations"
        yield ""
        yield from (f"- {_escaped(plain(notice, 400))}" for notice in report.notices)


def _row(result: Result) -> str:
    found = f"{result.observed}; {result.reason}" if result.reason else result.observed
    cells = (
        result.control.severity.value,
        f"{result.control.id} {result.control.title}",
        result.resource.label,
        found,
        result.expected,
    )
    return "| " + " | ".join(_escaped(plain(cell, 200)) for cell in cells) + " |"


def _escaped(text: str) -> str:
    """Every character that Markdown, or HTML within it, could take for its own stands behind a backslash."""
    return "".join(f"\\{character}" if character in _MEANT else character for character in text)
