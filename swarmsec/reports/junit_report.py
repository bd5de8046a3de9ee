"""The report as JUnit XML: a suite for each section, a case for each control and thing."""

from __future__ import annotations

from typing import Final
from xml.sax.saxutils import escape, quoteattr

from swarmsec.plaintext import plain
from swarmsec.reports.model import Report, Result, State

_SKIPPED: Final = frozenset({State.NOT_APPLICABLE, State.NOT_CHECKED, State.MANUAL, State.WAIVED})


def render_junit(report: Report) -> bytes:
    """Write the report. Characters that XML 1.0 has no place for are written as escapes."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', _open("testsuites", report.results, name="swarmsec")]
    for section, results in report.sections:
        lines.append("  " + _open("testsuite", results, name=section, timestamp=report.created.removesuffix("Z")))
        lines += [line for result in results for line in _case(result)]
        lines.append("  </testsuite>")
    lines.append("</testsuites>")
    return ("\n".join(lines) + "\n").encode("utf-8", "xmlcharrefreplace")


def _open(tag: str, results: object, **attributes: str) -> str:
    found = [result for result in results if isinstance(result, Result)] if isinstance(results, list | tuple) else []
    counts = {
        "tests": len(found),
        "failures": sum(result.state is State.FAIL for result in found),
        "errors": sum(result.state is State.ERROR for result in found),
        "skipped": sum(result.state in _SKIPPED for result in found),
    }
    texts = {**attributes, **{name: str(count) for name, count in counts.items()}}
    return f"<{tag} " + " ".join(f"{name}={_attribute(text)}" for name, text in texts.items()) + ">"


def _case(result: Result) -> list[str]:
    control = result.control
    name = f"{control.title}: {result.resource.label}"
    head = f"    <testcase classname={_attribute(control.id)} name={_attribute(name)}"
    said = f"observed: {result.observed}\nexpected: {result.expected}\n"
    said += f"reason: {result.reason}\n" if result.reason else ""
    match result.state:
        case State.PASS:
            return [head + "/>"]
        case State.FAIL:
            body = f"{said}to do: {control.remedy}\n"
            inner = f"<failure type={_attribute(control.severity.value)} message={_attribute(result.observed)}>"
            return [head + ">", "      " + inner + _text(body) + "</failure>", "    </testcase>"]
        case State.ERROR:
            inner = f"<error message={_attribute(result.reason or result.observed)}>{_text(said)}</error>"
            return [head + ">", "      " + inner, "    </testcase>"]
        case _:
            word = f"{result.state.value}: {result.reason}" if result.reason else result.state.value
            return [head + ">", f"      <skipped message={_attribute(word)}/>", "    </testcase>"]


def _attribute(text: str) -> str:
    return quoteattr(plain(text))


def _text(text: str) -> str:
    return escape("\n".join(plain(line) for line in text.split("\n")))
