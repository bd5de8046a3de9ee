"""The report as SARIF 2.1.0 (OASIS): a rule for each control, a result for each thing.

A Swarm has no source files; readers want a location all the same. So each thing gets a virtual artifact
``swarm/TYPE/NAME.json`` beside its logical location.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from policies.controls import Control, Severity
from swarmsec.reports.json_report import encode_document
from swarmsec.reports.model import Report, Result, State

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_SCORES: Final = {
    Severity.CRITICAL: "9.5",
    Severity.HIGH: "8.0",
    Severity.MEDIUM: "5.5",
    Severity.LOW: "2.5",
    Severity.INFO: "0.0",
}
_LEVELS: Final = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
    Severity.INFO: "note",
}
_KINDS: Final = {
    State.PASS: "pass",
    State.FAIL: "fail",
    State.WAIVED: "fail",
    State.ERROR: "open",
    State.NOT_CHECKED: "open",
    State.MANUAL: "review",
    State.NOT_APPLICABLE: "notApplicable",
}


def render_sarif(report: Report) -> bytes:
    """Write the report."""
    rules = list({result.control.id: result.control for result in report.results}.values())
    places = {control.id: index for index, control in enumerate(rules)}
    run = {
        "tool": {
            "driver": {
                "name": "swarmsec",
                "version": report.version,
                "semanticVersion": report.version,
                "rules": [_rule(control) for control in rules],
            }
        },
        "automationDetails": {"id": f"swarmsec/{report.profile}/"},
        "invocations": [
            {
                "executionSuccessful": not report.is_incomplete,
                "endTimeUtc": report.created,
                "toolExecutionNotifications": [
                    {"level": "warning", "message": {"text": notice}} for notice in report.notices
                ],
            }
        ],
        "columnKind": "unicodeCodePoints",
        "results": [_result(result, places[result.control.id]) for result in report.results],
    }
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return encode_document(document)


def _rule(control: Control) -> dict[str, Any]:
    return {
        "id": control.id,
        "name": "".join(word.capitalize() for word in control.title.replace("'", "").split()),
        "shortDescription": {"text": control.title},
        "fullDescription": {"text": control.why},
        "help": {"text": control.remedy},
        "defaultConfiguration": {"level": _LEVELS[control.severity]},
        "properties": {
            "tags": ["security", *control.references],
            "security-severity": _SCORES[control.severity],
            "precision": "high",
        },
    }


def _result(result: Result, rule: int) -> dict[str, Any]:
    kind = _KINDS[result.state]
    resource = result.resource
    name = resource.name or resource.id or resource.type
    path = f"swarm/{quote(resource.type, safe='')}/{quote(name.encode('utf-8', 'replace'), safe='')}.json"
    reason = f" ({result.reason})" if result.reason else ""
    said = f"{resource.label}: {result.observed}; expected {result.expected}{reason}"
    document: dict[str, Any] = {
        "ruleId": result.control.id,
        "ruleIndex": rule,
        "kind": kind,
        "level": _LEVELS[result.control.severity] if kind == "fail" else "none",
        "message": {"text": said},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": path}, "region": {"startLine": 1}},
                "logicalLocations": [
                    {"name": name, "kind": "resource", "fullyQualifiedName": f"{resource.type}/{name}"}
                ],
            }
        ],
        "partialFingerprints": {"swarmsec/v1": result.fingerprint},
    }
    if result.state is State.WAIVED:
        suppression = {"kind": "external", "status": "accepted", "justification": result.reason or "waived"}
        document["suppressions"] = [suppression]
    return document
